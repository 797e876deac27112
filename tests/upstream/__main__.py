"""``python -m tests.upstream``: the same outcome, test by test, with peft-strict on.

Examples:
    python -m tests.upstream                                   # what CI runs
    python -m tests.upstream test_custom_models.py -- -n 2     # PEFT's largest file; needs pytest-xdist
    python -m tests.upstream --all                             # every test file of the release
    python -m tests.upstream --reports test_mixed.py           # what peft-strict says there, to be judged by hand
    python -m tests.upstream --models test_decoder_models.py   # also the tests that load a model from the hub
    python -m tests.upstream --peft 0.13.2 test_config.py      # an older release
    python -m tests.upstream --package chronos-forecasting==2.3.2 test_chronos2.py    # another library's own tests
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections import Counter

from .compare import differences, installed_copy, run_both, source_tests, stand_ins, tests_in

IN_CI = ["test_config.py", "test_mapping.py", "test_low_level_api.py", "test_tuners_utils.py"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.upstream", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", nargs="*", help=f"test files (default: {' '.join(IN_CI)})")
    parser.add_argument("--all", action="store_true", help="every test file of the release")
    parser.add_argument("--peft", metavar="VERSION", help="the PEFT release (default: the installed one)")
    parser.add_argument("--reports", action="store_true", help="print each report with the test that gets it")
    parser.add_argument("--models", action="store_true", help="with tiny random models in place of those of the hub")
    parser.add_argument("--package", metavar="NAME==VERSION", help="run another library's tests on the installed PEFT")
    own, options = sys.argv[1:], []
    if "--" in own:
        own, options = own[: own.index("--")], own[own.index("--") + 1 :]
    arguments = parser.parse_args(own)

    installed = importlib.metadata.version("peft")
    name, _, version = (arguments.package or f"peft=={arguments.peft or installed}").partition("==")
    folder = source_tests(name, version)
    older = installed_copy("peft", version) if name == "peft" and version != installed else None
    files = arguments.files or IN_CI
    if arguments.all:
        files = sorted(path.name for path in tests_in(folder).glob("test_*.py"))

    hub = stand_ins() if arguments.models else None
    plain, strict = run_both(folder, files, extra_path=older, options=options, hub=hub)
    print(f"{name} {version}: {', '.join(files)}")
    for title, run in (("plain", plain), ("strict", strict)):
        print(f"  {title:6} {run.counts()} (peft-strict: {run.guarded})")
    found = differences(plain, strict)
    different = [each for each in found if not each.is_the_mistake]
    for each in different:
        print(f"  DIFFERS {each.test}: plain {each.plain}, strict {each.strict}")
    refused = f", beside {len(found) - len(different)} that make the mistake" if len(found) > len(different) else ""
    print(f"  {len(different)} differences in {len(plain.outcomes)} tests{refused}")
    print(f"  {plain.with_configs} of these tests build a PEFT config")
    by_code = Counter(report.partition(" ")[0] for _, report in strict.reports)
    print(f"  {len(strict.reports)} reports of peft-strict: {dict(sorted(by_code.items()))}")
    for test, report in strict.reports if arguments.reports else ():
        print(f"  REPORT {test}: {report}")
    if strict.guarded != "guarding":
        print("  peft-strict was not on in the strict run: install it here (pip install -e .)")
        return 2
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
