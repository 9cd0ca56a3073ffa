"""Where the files of a job lie, and what they are called."""

from storage.jobs.chunks import TakenChunk
from worker.exports.export_options import Export


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
