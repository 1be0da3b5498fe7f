"""`python -m ccterm` is `ccterm`."""

from ccterm.cli.main import main

if __name__ == "__main__":
    main()
