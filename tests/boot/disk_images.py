"""Builds disk images for tests."""

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
CD_BLOCK = 2048


def test_sector():
    """What boot_sector.asm expects to read."""
    return bytes((3 + 7 * i) & 0xFF for i in range(512))


def boot_sector(folder, name, sector, **defines):
    """Assembles boot_sector.asm; DEFINES are nasm macros (None: defined, without a value)."""
    path = os.path.join(folder, f"{name}.bin")
    macros = {"NAME": f'"{name}"', "SECTOR": sector, **defines}
    options = [f"-D{key}" + ("" if value is None else f"={value}") for key, value in macros.items()]
    source = os.path.join(HERE, "boot_sector.asm")
    subprocess.run(["nasm", "-f", "bin", *options, "-o", path, source], check=True)
    with open(path, "rb") as file:
        return file.read()


def write_image(path, size, pieces):
    """A sparse file of SIZE bytes with PIECES: offset -> bytes."""
    with open(path, "wb") as file:
        for offset, data in pieces.items():
            file.seek(offset)
            file.write(data)
        file.truncate(size)
    return path


def write_disk(folder, name, sectors, sector, **defines):
    """A disk of SECTORS sectors that boots, and has the test's data in SECTOR."""
    code = boot_sector(folder, name, sector, **defines)
    pieces = {0: code, sector * 512: test_sector()}
    return write_image(os.path.join(folder, f"{name}.img"), sectors * 512, pieces)


def both_endian(value, size):
    return value.to_bytes(size, "little") + value.to_bytes(size, "big")


def write_cd(folder, name, block=30, **defines):
    """A CD that boots without emulation (El Torito 1.0), and has the test's data in BLOCK. ISO 9660 beyond what a BIOS
    looks at is left out."""
    code = boot_sector(folder, name, block, DISC=None, **defines)
    primary = bytearray(CD_BLOCK)
    primary[0:7] = b"\x01CD001\x01"
    primary[40:72] = name.upper().encode().ljust(32)
    primary[80:88] = both_endian(block + 1, 4)
    primary[120:124] = primary[124:128] = both_endian(1, 2)
    primary[128:132] = both_endian(CD_BLOCK, 2)
    boot_record = bytearray(CD_BLOCK)
    boot_record[0:7] = b"\x00CD001\x01"
    boot_record[7:39] = b"EL TORITO SPECIFICATION".ljust(32, b"\0")
    boot_record[71:75] = (19).to_bytes(4, "little")
    end = b"\xffCD001\x01".ljust(CD_BLOCK, b"\0")
    catalog = bytearray(CD_BLOCK)
    catalog[0] = 1  # validation entry
    catalog[30:32] = b"\x55\xaa"
    total = sum(int.from_bytes(catalog[i : i + 2], "little") for i in range(0, 32, 2))
    catalog[28:30] = (-total & 0xFFFF).to_bytes(2, "little")
    catalog[32] = 0x88  # bootable, no emulation, segment 7C0h
    catalog[38:40] = (4).to_bytes(2, "little")  # sectors of 512 bytes to load
    catalog[40:44] = (20).to_bytes(4, "little")
    blocks = {16: primary, 17: boot_record, 18: end, 19: catalog, 20: code, block: test_sector()}
    path = os.path.join(folder, f"{name}.iso")
    return write_image(path, (block + 1) * CD_BLOCK, {n * CD_BLOCK: bytes(data) for n, data in blocks.items()})
