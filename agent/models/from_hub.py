"""Model files from Hugging Face: its library tells which there are, and they are fetched like any others."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from agent.models.catalogue import CataloguedModel, HuggingFace
from agent.models.download import Download, download
from agent.models.errors import PullError, Refused
from agent.models.from_web import endpoint
from agent.models.manifest import FileRecord, checksums, record
from agent.models.progress import Progress, Tracker
from agent.models.web import TIMEOUT_S, host_of
from agent.models.workspace import Workspace

_CREDENTIAL = "hf-token"
_NOT_FOUND = 404


def fetch(
    model: CataloguedModel, source: HuggingFace, workspace: Workspace, progress: Progress, *, token_file: Path | None
) -> tuple[str, dict[str, FileRecord]]:
    """Leaves the files of `source`, checked, in the workspace; the commit they are of, and how they came."""
    repository = _Repository(source, read_token(token_file), model.page or f"{endpoint()}/{source.repository}")
    commit, files = repository.listed()
    total_bytes = sum(file.size or 0 for file in files.values())
    workspace.room(total_bytes - sum(path.stat().st_size for path in workspace.downloads.iterdir()))
    with progress.of(model.name, total_bytes) as tracker:
        records = {name: repository.fetch(commit, name, file, tracker, workspace) for name, file in files.items()}
    for name in records:
        (workspace.downloads / name).replace(workspace.files / name)
    for name, further in source.also.items():
        if name in records and further not in records:
            shutil.copyfile(workspace.files / name, workspace.files / further)
            records[further] = records[name]
    return commit, records


def read_token(token_file: Path | None) -> str | None:
    """HF_TOKEN, else what `token_file` holds, else systemd's credential `hf-token`; PullError if it cannot be read."""
    if token := os.environ.get("HF_TOKEN", "").strip():
        return token
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if token_file is None and credentials and (Path(credentials) / _CREDENTIAL).is_file():
        token_file = Path(credentials) / _CREDENTIAL
    try:
        return token_file.read_text(encoding="utf-8").strip() or None if token_file else None
    except (OSError, UnicodeDecodeError) as exc:
        raise PullError(f"the Hugging Face token in {token_file} cannot be read: {exc}") from exc


@dataclass(frozen=True)
class _Repository:
    """A repository, and who asks for it."""

    source: HuggingFace
    token: str | None
    page: str

    def listed(self) -> tuple[str, dict[str, Any]]:
        """The commit of the revision that is wanted, and its files that are, by their names here."""
        if find_spec("huggingface_hub") is None:
            raise PullError("huggingface_hub is not installed; `pip install 'edgevoice[models]'` brings it")
        from huggingface_hub import HfApi  # noqa: PLC0415 - optional
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled  # noqa: PLC0415 - optional

        # Its own errors, and those of the HTTP library below it, whichever that is.
        failures: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)
        try:
            info = HfApi(endpoint=endpoint(), token=self.token or False).model_info(
                self.source.repository, revision=self.source.revision, files_metadata=True, timeout=TIMEOUT_S
            )
        except OfflineModeIsEnabled as exc:
            raise PullError("HF_HUB_OFFLINE is set; unset it to fetch models") from exc
        except HfHubHTTPError as exc:
            raise self._explained(exc.response.status_code) from exc
        except failures as exc:
            reason = " ".join(str(exc).split()) or type(exc).__name__
            raise PullError(
                f"cannot reach {host_of(endpoint())}: {reason}; check the network, the proxy and HF_ENDPOINT"
            ) from exc
        return str(info.sha), self._wanted(info.siblings or [])

    def fetch(self, commit: str, name: str, file: Any, tracker: Tracker, workspace: Workspace) -> FileRecord:
        """Leaves the file, checked, among the downloads."""
        from huggingface_hub import hf_hub_url  # noqa: PLC0415 - optional

        url = hf_hub_url(self.source.repository, file.rfilename, revision=commit, endpoint=endpoint())
        path = workspace.downloads / name
        try:
            download(Download(url, path, tracker, workspace.room, size_bytes=file.size, token=self.token))
        except Refused as exc:
            raise self._explained(exc.status) from exc
        if not _right(path, file):
            path.unlink()
            raise PullError(
                f"{name} of {self.source.repository} came damaged: its checksum differs; run the command again"
            )
        return record(path, published=True)

    def _wanted(self, files: list[Any]) -> dict[str, Any]:
        patterns = self.source.include
        names = {file.rfilename: PurePosixPath(file.rfilename).name for file in files}
        found = [
            file
            for file in files
            if not names[file.rfilename].startswith(".")
            and any(fnmatchcase(names[file.rfilename], pattern) for pattern in patterns)
        ]
        wanted = {self.source.rename.get(file.rfilename, names[file.rfilename]): file for file in found}
        if not found or len(wanted) < len(found):
            what = "has two files of one name among" if found else "has no file like"
            raise PullError(f"{self.source.repository} {what} {', '.join(patterns)}; see the catalogue")
        return wanted

    def _explained(self, status: int) -> PullError:
        host, name = host_of(endpoint()), self.source.repository
        if status in {401, 403}:
            who = "with this HF_TOKEN" if self.token else "without HF_TOKEN"
            return PullError(
                f"{host} does not give {name} {who} (HTTP {status}); accept its licence on {self.page}, make a token"
                " that may read it, and set HF_TOKEN"
            )
        if status == _NOT_FOUND:
            return PullError(
                f"no {name} at revision {self.source.revision} on {host} (HTTP 404); the catalogue may be out of date"
            )
        return PullError(f"{host} does not give {name} (HTTP {status}); try again later")


def _right(path: Path, file: Any) -> bool:
    """Whether it has the checksum that the repository gives: of large files their own, of others git's."""
    if file.lfs:
        return bool(checksums(path, ("sha256",))["sha256"] == file.lfs.sha256)
    blob = checksums(path, ("sha1",), prefix=b"blob %d\0" % path.stat().st_size)
    return file.blob_id is None or bool(blob["sha1"] == file.blob_id)
