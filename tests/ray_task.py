"""A Ray task that is guarded: ``python -m tests.ray_task``, with Ray installed next to PEFT (``pip install ray``).

Builds the wheel, installs it into an environment of its own, starts a local Ray there with
``runtime_env={"env_vars": {"PEFT_STRICT": "1"}}``, and has two workers make the typo. Ends with 0 if both refuse it
and the driver sees the error whole. Not part of the test run, because Ray is heavy.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

DRIVER = """
import os
import ray

ray.init(num_cpus=2, include_dashboard=False, logging_level="error", runtime_env={"env_vars": {"PEFT_STRICT": "1"}})

@ray.remote(num_cpus=1)
class Worker:
    def construct(self, value):
        import peft
        return peft.LoraConfig(task_type=value).task_type
    def process(self):
        return os.getpid()

import peft_strict

workers = [Worker.remote() for _ in range(2)]
assert len({os.getpid(), *ray.get([worker.process.remote() for worker in workers])}) == 3
assert ray.get([worker.construct.remote("CAUSAL_LM") for worker in workers]) == ["CAUSAL_LM"] * 2
for worker in workers:
    try:
        ray.get(worker.construct.remote("CASUAL_LM"))
    except peft_strict.InvalidTaskTypeError as error:
        cause = error.cause
        assert (cause.value, cause.suggestion, cause.config_class) == ("CASUAL_LM", "CAUSAL_LM", "LoraConfig")
        assert str(cause) in str(error), error
        assert "in construct" in str(error), error
    else:
        raise AssertionError("not refused")
print(cause)
ray.shutdown()
"""


def main() -> int:
    """Run the driver; return its exit code."""
    if importlib.util.find_spec("ray") is None:
        print("Ray is not installed here: pip install ray", file=sys.stderr)
        return 2
    from . import interpreters

    script = Path(interpreters.scratch()) / "driver.py"
    script.write_text(DRIVER)
    variables = interpreters.environ(RAY_ENABLE_UV_RUN_RUNTIME_ENV=0, RAY_USAGE_STATS_ENABLED=0)
    result = interpreters.execute(interpreters.with_real_peft().python, script, env=variables, timeout=600)
    print(result.stdout, end="")
    print(result.stderr, end="", file=sys.stderr)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
