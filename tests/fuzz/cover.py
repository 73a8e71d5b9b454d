"""One reader under atheris: `python cover.py READER CORPUS [options of libFuzzer]`. Run by fuzz.py."""

import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Begin from the reader's own files and fuzz."""
    import atheris

    with atheris.instrument_imports(include=["lightconv", "zipfile", "yaml"]):
        from readers import READERS

    name, corpus, *options = sys.argv[1:]
    reader = READERS[name]
    for number, seed in enumerate(reader.seeds()):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder, f"file{reader.suffix}")
        atheris.Setup([sys.argv[0], corpus, *options], lambda content: reader.survives(path, content))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
