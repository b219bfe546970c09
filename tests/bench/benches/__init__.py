"""One file a benchmark: a function ``run(lab, sizes) -> Result``."""
