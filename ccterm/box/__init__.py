"""Programs that run inside a box: standard library only, started as `python3 -I BOX_LIB/__main__.py PROGRAM request.json`.

Each step waits for its program's imports. So no dataclasses here, which bring `inspect`; what only an error needs is imported then.
"""
