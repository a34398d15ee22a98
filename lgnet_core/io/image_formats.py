"""What the headers of image files say: format, EXIF orientation and number of pages."""

from __future__ import annotations

from collections.abc import Iterator

from lgnet_core.io import jpeg

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_SIGNATURES = (jpeg.SIGNATURE, PNG_SIGNATURE, b"BM", b"II*\0", b"MM\0*", b"P5", b"P6", b"\0\0\0\x0cjP  ")
_HEIF_BRANDS = frozenset([b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"])
_AVIF_BRANDS = frozenset([b"avif", b"avis"])
_META_BYTES = 4096  # of an AVIF file: its properties come first
_AVIF_ORIENTATIONS = (1, 8, 3, 6)  # by the quarter turns anticlockwise of the property irot; EXIF does not count
_ORIENTATION_TAG, _SUBFILE_TAG = 0x0112, 0x00FE
_REDUCED_OR_MASK = 0b101  # NewSubfileType: a smaller version of another page, or its transparency mask
_MAX_PAGES = 10_000  # a damaged TIFF can link its pages in a circle

_AS_JPEG = "export it as JPEG or PNG"
UNSUPPORTED_SUFFIXES: dict[str, str] = {
    ".heic": "HEIC, whose codec (HEVC) is patented and not included; convert it (heif-convert IN.heic OUT.jpg), or set "
    "the phone's camera to 'most compatible'",
    ".jxl": "JPEG XL, which OpenCV cannot read; convert it (djxl IN.jxl OUT.png)",
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"), f"a raw photograph; {_AS_JPEG}"),
    **dict.fromkeys((".psd", ".xcf", ".svg", ".pdf"), f"no photograph; {_AS_JPEG}"),
}
"""Image files that cannot be read, by suffix: what they are, and the remedy."""
UNSUPPORTED_SUFFIXES[".heif"] = UNSUPPORTED_SUFFIXES[".heic"]


def is_image_data(head: bytes) -> bool:
    """Whether a file that begins with these (at least 32) bytes is an image, readable or HEIC."""
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return webp or head.startswith(_SIGNATURES) or bool(_brands(head) & (_HEIF_BRANDS | _AVIF_BRANDS))


def is_heic(data: bytes) -> bool:
    """Whether a file is HEIC, whatever its name: a phone's images are often renamed to ``.jpg``."""
    brands = _brands(data)
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def is_avif(data: bytes) -> bool:
    """Whether a file is AVIF, which only recent builds of OpenCV read."""
    return bool(_brands(data) & _AVIF_BRANDS)


def read_orientation(data: bytes) -> int:
    """EXIF orientation, 1 to 8; 1 if there is none. See :mod:`lgnet_core.io.orientation`."""
    if data.startswith(jpeg.SIGNATURE):
        exif = jpeg.jpeg_exif(data)
    elif data.startswith(PNG_SIGNATURE):
        exif = next((body for name, body in _png_chunks(data) if name == b"eXIf"), b"")
    elif data[:4] == b"RIFF":
        exif = next((body for name, body in _riff_chunks(data) if name == b"EXIF"), b"").removeprefix(b"Exif\0\0")
    elif is_avif(data):
        rotation = data.find(b"irot", 0, _META_BYTES)
        return _AVIF_ORIENTATIONS[data[rotation + 4] & 3] if 0 <= rotation < len(data) - 4 else 1
    else:
        exif = data
    value = next(_tiff_pages(exif), {}).get(_ORIENTATION_TAG, 1)
    return value if 1 <= value <= 8 else 1


def count_pages(data: bytes) -> int:
    """Number of images in a file: pages of a TIFF, frames of an animated PNG, WebP or AVIF (2 stands for several)."""
    if data.startswith(PNG_SIGNATURE):
        control = next((body for name, body in _png_chunks(data) if name == b"acTL"), b"")
        return max(1, int.from_bytes(control[:4], "big"))
    if data[:4] == b"RIFF":
        return max(1, sum(name == b"ANMF" for name, _ in _riff_chunks(data)))
    if _brands(data):
        return 2 if data[8:12] == b"avis" else 1
    return max(1, sum(not page.get(_SUBFILE_TAG, 0) & _REDUCED_OR_MASK for page in _tiff_pages(data)))


def _brands(data: bytes) -> set[bytes]:
    """Brands of an ISO base media file: the major one, then the compatible ones."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 256, len(data))
    return {data[k : k + 4] for k in (8, *range(16, end - 3, 4))}


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = len(PNG_SIGNATURE)
    while offset + 8 <= len(data):
        end = offset + 8 + int.from_bytes(data[offset : offset + 4], "big")
        yield data[offset + 4 : offset + 8], data[offset + 8 : end]
        offset = end + 4  # checksum


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 12
    while offset + 8 <= len(data):
        end = offset + 8 + int.from_bytes(data[offset + 4 : offset + 8], "little")
        yield data[offset : offset + 4], data[offset + 8 : end]
        offset = end + end % 2


def _tiff_pages(data: bytes) -> Iterator[dict[int, int]]:
    """The short and long tags of each page of a TIFF, or of an EXIF block; nothing if it is neither."""
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return
    order = "little" if data[:1] == b"I" else "big"

    def number(start: int, size: int) -> int:
        return int.from_bytes(data[start : start + size], order)  # type: ignore[arg-type]

    offset = number(4, 4)
    for _ in range(_MAX_PAGES):
        if not 8 <= offset <= len(data) - 6:
            return
        end = offset + 2 + 12 * number(offset, 2)
        entries = range(offset + 2, min(end, len(data) - 11), 12)
        sizes = {3: 2, 4: 4}  # bytes of a short and a long
        yield {number(e, 2): number(e + 8, sizes[number(e + 2, 2)]) for e in entries if number(e + 2, 2) in sizes}
        offset = number(end, 4)
