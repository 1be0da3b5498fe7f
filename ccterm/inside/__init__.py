"""Programs that run inside a box: standard library only, started as `python3 -I BOX_LIB/__main__.py PROGRAM request.json`."""
