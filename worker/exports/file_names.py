"""Where the files of a job lie, what they are called, and what they are."""

from storage.files.artifacts import UNTOLD
from storage.jobs.chunks import TakenChunk
from worker.exports.export_options import Export
from worker.exports.writers import formats, numbered_files


def part_name(chunk: TakenChunk, start: int, extension: str) -> str:
    """A name that no other run of any worker uses: chunk, attempt and batch."""
    name = f"{start:09d}-{chunk.id}-{chunk.attempt}.{extension}"
    return parts_folder(chunk.job_id) + name


def parts_folder(job_id: str) -> str:
    """Where all parts of a job lie."""
    return f"jobs/{job_id}/parts/"


def file_name(job_id: str, export: Export) -> str:
    """The name that the sealed file carries."""
    return f"{job_id}.{export.extension}"


def media_type(file_name: str) -> str:
    """What a sealed file is, as HTTP says it, by how its name ends."""
    ending = file_name.rpartition(".")[2]
    if ending == numbered_files.EXTENSION:
        return numbered_files.MEDIA_TYPE
    return formats.format_of(ending).media_type if ending in formats.FORMATS else UNTOLD
