"""Pictures for tests, without any library: PPM and PNG (24 bits, not interlaced) to rows of RGB bytes."""

import zlib


class Picture:
    def __init__(self, width, height, pixels):
        self.width, self.height, self.pixels = width, height, pixels

    def differences(self, other, box=None):
        """How many pixels differ within BOX (left, top, right, bottom)."""
        left, top, right, bottom = box or (0, 0, self.width, self.height)
        count = 0
        for y in range(top, bottom):
            a = self.pixels[3 * (y * self.width + left) : 3 * (y * self.width + right)]
            b = other.pixels[3 * (y * self.width + left) : 3 * (y * self.width + right)]
            if a != b:
                count += sum(a[i : i + 3] != b[i : i + 3] for i in range(0, len(a), 3))
        return count


def read_ppm(path):
    with open(path, "rb") as file:
        data = file.read()
    fields = data.split(maxsplit=4)
    assert fields[0] == b"P6" and fields[3] == b"255"
    width, height = int(fields[1]), int(fields[2])
    return Picture(width, height, data[-3 * width * height :])


def unfilter(kind, row, above):
    """PNG specification, 9.2, for three bytes a pixel."""
    for i, value in enumerate(row):
        a = row[i - 3] if i >= 3 else 0
        b = above[i]
        c = above[i - 3] if i >= 3 else 0
        if kind == 1:
            value += a
        elif kind == 2:
            value += b
        elif kind == 3:
            value += (a + b) // 2
        elif kind == 4:
            p = a + b - c
            distances = [abs(p - a), abs(p - b), abs(p - c)]
            value += (a, b, c)[distances.index(min(distances))]
        row[i] = value & 0xFF
    return row


def read_png(path):
    with open(path, "rb") as file:
        data = file.read()
    position, packed, header = 8, b"", b""
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            packed += body
        position += 12 + length
    width, height = int.from_bytes(header[0:4], "big"), int.from_bytes(header[4:8], "big")
    channels = {2: 3, 6: 4}[header[9]]
    assert header[8] == 8 and channels == 3 and header[12] == 0
    raw, rows, above = zlib.decompress(packed), [], bytearray(3 * width)
    for y in range(height):
        start = y * (3 * width + 1)
        above = unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + 3 * width]), above)
        rows.append(bytes(above))
    return Picture(width, height, b"".join(rows))
