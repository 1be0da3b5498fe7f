"""The pointers that Git LFS commits in place of large files."""

_BEGIN = b"version https://git-lfs.github.com/spec/v1\n"
MOST_OF_A_POINTER = 1024
"""No pointer is larger, in bytes; git-lfs itself reads no further."""


def is_pointer(content: bytes) -> bool:
    """Whether the first bytes of a file are those of a pointer; an empty file stands for itself."""
    return not content or content.startswith(_BEGIN)


def pointer_to(sha256: str, size: int) -> bytes:
    """Return the pointer to a file with this SHA-256 and size."""
    return b"%soid sha256:%s\nsize %d\n" % (_BEGIN, sha256.encode(), size)
