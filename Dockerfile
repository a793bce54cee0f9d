# The locked environment and the project; GPUs through --gpus all.
#   docker build -t vqflow .
#   docker run --rm -v "$PWD/results:/vqflow/results" vqflow
# Without GPUs and 4 GB smaller, with an index that serves torch's wheels for CPUs:
#   docker build --build-arg TORCH_INDEX=<address> -t vqflow:cpu .
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends make git \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /vqflow
COPY . .
ARG TORCH_INDEX=""
RUN make install VENV=/opt/venv PYTHON=python3 TORCH_INDEX="$TORCH_INDEX"
ENV PATH=/opt/venv/bin:$PATH
ENTRYPOINT ["snakemake"]
CMD ["--cores", "all", "--configfile", "config/demo.yaml"]
