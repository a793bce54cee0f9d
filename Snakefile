from snakemake.utils import min_version

min_version("9.14")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"


report: "workflow/report/workflow.rst"


onstart:
    preflight()


rule all:
    input:
        table_files(),
        figure_files(),


include: "workflow/rules/data.smk"
include: "workflow/rules/atlas.smk"
include: "workflow/rules/flow.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
