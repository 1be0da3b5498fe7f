"""Programs that run inside a box: standard library only, started as `python3 -I BOX_LIB/__main__.py PROGRAM REQUEST` (a JSON file, or "-" for stdin).

Each step waits for its program's imports. So no dataclasses here, which bring `inspect`; what only an error needs is imported then.
"""
