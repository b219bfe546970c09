"""The benchmarks: each measures ours and a comparison in the same run, alternating. ``script/bench --list``."""
