include: "workflow/Snakefile"


workflow.default_target = "all"  # an include has none of its own
