"""Artifacts on the double of the W&B server: begun, given a manifest and files, and committed, or found to be there.

An artifact is taken when its manifest and each file that this names have arrived, with the digests they were announced
with; one like the last of its collection is that one. Left out: links, aliases other than the newest version, uploads
in parts, references, downloads, and everything that is done with artifacts afterwards.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field


@dataclass
class Artifact:
    """One version of a collection."""

    about: dict
    files: dict = field(default_factory=dict)
    announced: dict = field(default_factory=dict)
    manifest: dict = field(default_factory=dict)
    committed: bool = False

    @property
    def metadata(self):
        return json.loads(self.about["metadata"])

    @property
    def address(self):
        return tuple(self.about[name] for name in ("entityName", "projectName", "artifactCollectionName"))


class Artifacts:
    """``versions`` has what came, in order; an artifact's id is its place there."""

    def __init__(self):
        self.versions: list[Artifact] = []
        self.url = ""

    def committed(self, collection):
        """The versions of a collection that are there to be used."""
        return [one for one in self.versions if one.committed and one.address[2] == collection]

    def answer(self, name, variables):
        """Answer an operation, None if it is none of them.

        Raises:
            ValueError: the artifact is not as it was announced.
        """
        given = variables.get("input", variables)
        match name:
            case "ArtifactType":
                found = self.committed(given["name"].split(":")[0])
                kind = {"artifactType": {"name": found[-1].about["artifactTypeName"]}} if found else None
                return {"project": {"artifact": kind}}
            case "CreateArtifact":
                return {"createArtifact": {"artifact": self._create(given)}}
            case "CreateArtifactFiles":
                edges = [{"node": self._file(one)} for one in given["artifactFiles"]]
                return {"createArtifactFiles": {"files": {"edges": edges}}}
            case "CreateArtifactManifest" | "UpdateArtifactManifest":
                return {name[0].lower() + name[1:]: {"artifactManifest": self._manifest(given)}}
            case "CommitArtifact":
                return {"commitArtifact": {"artifact": self._commit(int(given["artifactID"]))}}
            case "ArtifactByID":
                return {"artifact": self._described(int(given["id"]))}
        return None

    def put(self, path, data):
        """Take the bytes of ``ID/PLACE``, where the place is a file's or that of the manifest."""
        number, place = path.split("/", 1)
        artifact = self.versions[int(number)]
        if place == "manifest":
            artifact.manifest = json.loads(data)
        else:
            artifact.files[place] = data

    def _create(self, given):
        artifact = Artifact(given)
        same = [n for n, one in enumerate(self.versions) if one.address == artifact.address and one.committed]
        if same and self.versions[same[-1]].about["digest"] == given["digest"]:
            number, state = same[-1], "COMMITTED"
        else:
            number, state = len(self.versions), "PENDING"
            self.versions.append(artifact)
        latest = {"id": str(same[-1])} if same else None
        return {"id": str(number), "state": state, "artifactSequence": {"latestArtifact": latest}}

    def _file(self, given):
        number, name = given["artifactID"], given["name"]
        self.versions[int(number)].announced[name] = given["md5"]
        url = f"{self.url}/storage/{number}/{name}"
        node = {"storagePath": f"{number}/{name}", "uploadUrl": url, "uploadHeaders": []}
        return node | {"uploadMultipartUrls": None, "artifact": {"id": number}}

    def _manifest(self, given):
        number = given.get("artifactID", given.get("artifactManifestID"))
        file = {"id": number, "uploadUrl": f"{self.url}/storage/{number}/manifest", "uploadHeaders": []}
        return {"id": number, "file": file}

    def _commit(self, number):
        artifact = self.versions[number]
        for path, entry in artifact.manifest["contents"].items():
            data = artifact.files.get(path, b"")
            digest = base64.b64encode(hashlib.md5(data).digest()).decode()
            if not entry["digest"] == artifact.announced.get(path) == digest or entry["size"] != len(data):
                raise ValueError(f"{path} is not what was announced")
        artifact.committed = True
        return {"id": str(number), "digest": artifact.about["digest"]}

    def _described(self, number):
        artifact = self.versions[number]
        entity, project, collection = artifact.address
        where = {"id": project, "internalId": "1", "name": project, "entity": {"name": entity}}
        return {
            "__typename": "Artifact",
            "id": str(number),
            "artifactSequence": {"__typename": "ArtifactSequence", "name": collection, "project": where},
            "versionIndex": self.committed(collection).index(artifact),
            "artifactType": {"name": artifact.about["artifactTypeName"]},
            "description": None,
            "metadata": artifact.about["metadata"],
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": artifact.about["historyStep"],
            "state": "COMMITTED",
            "size": sum(map(len, artifact.files.values())),
            "digest": artifact.about["digest"],
            "commitHash": artifact.about["digest"],
            "fileCount": len(artifact.files),
            "createdAt": "2000-01-01T00:00:00Z",
            "updatedAt": None,
            "aliases": [],
        }
