"""Files on a disk: they are written whole or not at all, and read up to a limit."""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import stat
import sys
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check

if sys.platform != "win32":
    import fcntl

MAX_BYTES = 2**32  # the size to which a file may unpack, if it is not larger itself: 4 GiB
PIECE = 2**20

Path_ = str | os.PathLike[str]
Target: TypeAlias = str | os.PathLike[str] | BinaryIO


# ---- writing ----


@contextmanager
def replacing(target: Target) -> Iterator[BinaryIO]:
    """
    Open a file that gets its name, and replaces an older one, once it is complete.

    It keeps the mode of the older file, and its owner where that is allowed. A file object is
    written once, at the end.

    Raises
    ------
    TypeError
        If the target is no path, and no file object for bytes.
    OSError
        As `destination`, or if the file cannot be written.
    """
    if not is_path(target, "write"):
        content = io.BytesIO()
        yield content
        _write(target, content.getbuffer())
        return
    path = destination(target)
    _remove_leftovers(path)
    old = os.stat(path) if path.exists() else None
    with _by_its_name(path):
        unfinished, descriptor = _claimed(path, 0o666 if old is None else 0o600)
        try:
            with open(descriptor, "wb") as file:
                if old is not None and sys.platform != "win32":
                    _keep_mode_and_owner(descriptor, old)
                yield file
                file.flush()
                os.fsync(descriptor)
                if sys.platform != "win32":  # while it is claimed
                    os.replace(unfinished, path)
            if sys.platform == "win32":  # which replaces no open file
                os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    with suppress(OSError):  # some systems cannot: the name may then not survive a power cut
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def destination(path: Path_) -> Path:
    """
    Return the path of a file of this name, with links followed.

    Raises
    ------
    OSError
        If the path is empty, its folder is missing or not writable, or the path is a folder, a fifo
        or a device.
    """
    if not os.fsdecode(path):  # realpath would take it for the working folder
        raise FileNotFoundError(errno.ENOENT, "The path is empty", "")
    path = Path(os.path.realpath(os.fsdecode(path)))
    check_folder(path)
    folder = path.parent
    if not os.access(folder, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return path
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file, which alone can be replaced; "
                      "hand over the opened file instead", str(path))
    return path


def check_folder(path: Path) -> None:
    """
    Check that the folder of a file exists.

    Raises
    ------
    OSError
        If it does not, or is no folder.
    """
    folder = path.parent
    if not folder.exists():
        raise FileNotFoundError(errno.ENOENT, "The folder does not exist", str(folder))
    if not folder.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def check(path: Path_) -> None:
    """
    Check that a file of this name can be made, by making an unfinished one.

    Raises
    ------
    OSError
        As `destination`, or if no file can be made there.
    """
    path = destination(path)
    with _by_its_name(path):
        unfinished, descriptor = _claimed(path, 0o600)
        os.close(descriptor)
        unfinished.unlink()


def is_path(given: Any, method: str) -> TypeGuard[Path_]:
    """
    Return whether this is a path, and not a file object with this method.

    Raises
    ------
    TypeError
        If it is neither, or a file object for text.
    """
    if isinstance(given, (str, bytes, os.PathLike)):
        return True
    if not hasattr(given, method) or isinstance(given, io.TextIOBase):
        raise TypeError(f"path must be a path, or a file object that can {method} bytes, "
                        f"got a {type(given).__name__}")
    return False


def named(given: Any) -> str:
    """Return the name of a path or a file object, for errors."""
    name = given if isinstance(given, (str, bytes, os.PathLike)) else getattr(given, "name", None)
    if isinstance(name, (str, bytes, os.PathLike)):
        return os.fsdecode(name)
    return f"a {type(given).__name__}"


def _write(file: Any, content: memoryview) -> None:
    while content:
        written = file.write(content)  # one without a buffer may take less
        content = content[len(content) if written is None else written:]


@contextmanager
def _by_its_name(path: Path) -> Iterator[None]:
    """Make errors name the caller's file, and not the unfinished one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def _stem(path: Path) -> str:
    """Return the beginning of unfinished files' names; systems limit the length of names."""
    return f".{path.name[:50]}."


def _claimed(path: Path, mode: int) -> tuple[Path, int]:
    """Make an unfinished file. While it is open, no process takes it for a leftover."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    while True:
        unfinished = path.with_name(f"{_stem(path)}{uuid.uuid4().hex[:12]}.tmp")
        descriptor = os.open(unfinished, flags, mode)
        if sys.platform == "win32":
            return unfinished, descriptor
        with suppress(OSError):  # without locks nothing is taken for a leftover
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if unfinished.exists():
            return unfinished, descriptor
        os.close(descriptor)  # another process removed it before it was locked


def _remove_leftovers(path: Path) -> None:
    """Remove unfinished files for this path that ended processes have left."""
    name = re.compile(re.escape(_stem(path)) + r"[0-9a-f]{12}\.tmp")
    try:
        with os.scandir(path.parent) as entries:
            leftovers = [entry.path for entry in entries
                         if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)]
    except PermissionError:  # the folder cannot be listed, but perhaps written
        return
    for leftover in leftovers:
        with suppress(OSError):  # another process's, alive or of another user
            if sys.platform == "win32":
                os.unlink(leftover)  # which Windows refuses while it is open
                continue
            file = os.open(leftover, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(leftover)
            finally:
                os.close(file)


def _keep_mode_and_owner(file: int, old: os.stat_result) -> None:
    new = os.fstat(file)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        for owner in (-1, old.st_uid):  # the group may be allowed where the user is not
            with suppress(OSError):
                os.fchown(file, owner, old.st_gid)
    os.fchmod(file, stat.S_IMODE(old.st_mode))


# ---- reading ----


@contextmanager
def opened(source: Target, max_bytes: int) -> Iterator[BinaryIO]:
    """
    Open a file for reading and seeking; a file object is read from its position.

    Raises
    ------
    TypeError
        If the source is no path, and no file object for bytes.
    OSError
        If the file cannot be read.
    ValueError
        If a file object holds more than `max_bytes`, or has no bytes left.
    """
    if is_path(source, "read"):
        with open(source, "rb") as file:
            yield file
    else:
        whole = _whole(source, max_bytes)
        if not whole:
            raise ValueError(f"{named(source)} must have bytes left to read, got none; after "
                             f"writing, seek(0) goes back to the first")
        yield io.BytesIO(whole)


def read_bytes(path: Path_, max_bytes: int) -> bytes:
    """
    Return the content of a file, unpacked if its first bytes, and not its name, say gzip.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it does not unpack, or unpacks to more than `max_bytes`.
    """
    max_bytes = _check.integer("max_bytes", max_bytes, 0)
    return unpacked(Path(path).read_bytes(), max_bytes, str(path))


def unpacked(content: bytes, max_bytes: int, name: str) -> bytes:
    """
    Return the content of a file, unpacked if its first bytes say gzip.

    Raises
    ------
    ValueError
        If it does not unpack, or unpacks to more than `max_bytes`.
    """
    if not content.startswith(b"\x1f\x8b"):
        return content
    with damaged(f"{name}: a gzip file must unpack whole, got "):
        return _whole(gzip.GzipFile(fileobj=io.BytesIO(content)), max(max_bytes, len(content)))


def whole(file: Any, max_bytes: int, name: str) -> bytes:
    """
    Return the content of a file object from its position on.

    Raises
    ------
    TypeError
        If it is no file object for bytes.
    ValueError
        If it holds more than `max_bytes`.
    """
    if is_path(file, "read"):
        raise TypeError(f"file must be a file object, got {_check.shown(file)}")
    with damaged(f"{name}: must be read whole, got "):
        return _whole(file, max_bytes)


class Archive(Mapping[str, NDArray[Any]]):
    """
    The arrays of an ``.npz`` file. Each is unpacked on access; nothing is unpickled.

    Parameters
    ----------
    file : binary file
    max_bytes : int
        The size to which the arrays may unpack, unless the file is larger itself.

    Attributes
    ----------
    parts : list of str
        The names of all parts of the file.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._zip = unzipped(file)
        self.parts = self._zip.namelist()
        self._members = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()
                         if info.filename.endswith(".npy")}
        self._most = self._left = max(max_bytes, file.seek(0, os.SEEK_END))

    def __getitem__(self, name: str) -> NDArray[Any]:
        member = self._members[name]
        check_packed(member)
        self._left -= member.file_size
        if self._left < 0:
            raise ValueError(_too_many(self._most))
        with self._zip.open(member) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # at the end of the file, its checksum is tested
                raise ValueError(f"{name} longer than it says")
        return array

    def __contains__(self, name: object) -> bool:  # Mapping's own method would unpack it
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def unzipped(file: BinaryIO) -> zipfile.ZipFile:
    """
    Open an archive that begins where the file does.

    Raises
    ------
    ValueError
        If it does not: an archive of archives that lost its end still ends in a whole one.
    """
    archive = zipfile.ZipFile(file)
    if min((member.header_offset for member in archive.infolist()), default=0):
        raise ValueError("it is not whole: bytes stand before its first part")
    return archive


def check_packed(member: zipfile.ZipInfo) -> None:
    """
    Check that a part of an archive is packed by a method that unpacks piece by piece.

    Others unpack to any size before it can be counted.

    Raises
    ------
    ValueError
        If it is not.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} packed by method {member.compress_type}")


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """
    Read the header of a .npy: shape, whether the array lies column by column, and dtype.

    Raises
    ------
    ValueError
        If it is none.
    """
    version = np.lib.format.read_magic(file)
    read = (np.lib.format.read_array_header_1_0 if version == (1, 0)
            else np.lib.format.read_array_header_2_0)
    return read(file)


@contextmanager
def damaged(rule: str) -> Iterator[None]:
    """
    Turn the errors of libraries that read damaged bytes into a ValueError.

    Parameters
    ----------
    rule : str
        The text before the library's message.
    """
    try:
        yield
    except ModuleNotFoundError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # an error of the disk
        words = " ".join(str(error)[:1000].split())
        if isinstance(error, (KeyError, MemoryError)) or not words:
            words = f"{type(error).__name__} {words}".rstrip()
        raise ValueError(rule + (words if len(words) <= 200 else f"{words[:197]}...")) from None


def _whole(file: Any, most: int) -> bytes:
    """Read a file in pieces, so that not much more than `most` bytes are in memory."""
    whole = io.BytesIO()
    while piece := file.read(PIECE):
        if whole.tell() + len(piece) > most:
            raise ValueError(_too_many(most))
        whole.write(piece)
    return whole.getvalue()


def _too_many(most: int) -> str:
    return f"more than max_bytes = {most:,} bytes; give a larger max_bytes to read it"
