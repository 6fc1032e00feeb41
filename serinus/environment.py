"""What this process runs: code, packages, image; for the record of what it makes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import ssl
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import httpx

import serinus
from serinus.facts import Code
from serinus.spec import ModelLoop

REVISION, IMAGE = "SERINUS_REVISION", "SERINUS_IMAGE"  # set in our images, and in the pipeline's pods
POD, HOST, PORT = "KFP_POD_NAME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"  # KFP's and Kubernetes' own
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PATIENCE = 3.0  # seconds; a step does not wait longer for a figure in its record
log = logging.getLogger(__name__)

LOCK = "uv.lock"
PICKING = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")
"""Variables that pick routines in the processor's place; two routines for the same sum differ in its last bits."""
PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "threadpoolctl")


def code(spec: ModelLoop, environment: Mapping[str, str] = os.environ) -> Code:
    """What runs here. The modules of the user's own functions are looked for where Python would import them from."""
    home = Path(serinus.__file__).parent
    return Code(
        release=serinus.__version__,
        revision=environment.get(REVISION, ""),
        source=digest(home, home.rglob("*.py")),
        own=_own(spec),
        lock=_lock((Path(sys.prefix), home.parent)),
        image=image(environment),
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := _version(name))},
        kernels=_kernels(),
        forced={name: environment[name] for name in PICKING if environment.get(name)},
    )


def image(environment: Mapping[str, str] = os.environ, account: Path = ACCOUNT) -> str:
    """The image that this container was made from, with its digest as far as that is known; "" outside our pods.

    A container knows neither. The name is in a variable; the digest, which a name with a tag does not tell, is in the
    pod's status, which the API server shows to those who may read pods (Kubeflow's accounts for runs may).
    """
    name = environment.get(IMAGE, "")
    if not name or "@" in name or not all(environment.get(each) for each in (POD, HOST, PORT)):
        return name
    try:
        ran = _image_id(environment, account, name)
    except (OSError, httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        log.info("the digest of %s is not known: %s", name, error)
        return name
    digest = ran.rpartition("@")[2]  # docker.io/serinus/pipeline@sha256:..., or the digest alone
    return f"{name}@{digest}" if digest.startswith("sha256:") else name


def _image_id(environment: Mapping[str, str], account: Path, name: str) -> str:
    namespace, token = ((account / file).read_text().strip() for file in ("namespace", "token"))
    trust = ssl.create_default_context(cafile=str(account / "ca.crt"))
    host = environment[HOST] if ":" not in environment[HOST] else f"[{environment[HOST]}]"
    pod = httpx.get(
        f"https://{host}:{environment[PORT]}/api/v1/namespaces/{namespace}/pods/{environment[POD]}",
        headers={"Authorization": f"Bearer {token}"}, verify=trust, timeout=_PATIENCE, trust_env=False,
    )  # fmt: skip
    body = pod.raise_for_status().json()
    ours = {each["name"] for each in body["spec"]["containers"] if each.get("image") == name}
    return next((str(each["imageID"]) for each in body["status"]["containerStatuses"] if each["name"] in ours), "")


def digest(root: Path, files: Iterable[Path]) -> str:
    """The sha256 over names, relative to `root`, and contents of `files`, whatever their order."""
    total = hashlib.sha256()
    for path in sorted(files):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{content}  {path.relative_to(root).as_posix()}\n".encode())
    return total.hexdigest()


def _own(spec: ModelLoop) -> str:
    """Of the packages that the user's functions are in: not of what these import, which the lock or image names."""
    source, training = spec.spec.data.source, spec.spec.training
    named = [training.python, getattr(source, "python", None)]
    tops = {reference.partition(":")[0].partition(".")[0] for reference in named if isinstance(reference, str)}
    if not tops:
        return ""
    return hashlib.sha256("".join(_module(top) for top in sorted(tops)).encode()).hexdigest()


def _module(name: str) -> str:
    found = importlib.util.find_spec(name)
    if found is None:
        return ""
    places = [Path(place) for place in found.submodule_search_locations or ()]
    if places:
        return "".join(digest(place.parent, place.rglob("*.py")) for place in places)
    return digest(Path(found.origin).parent, [Path(found.origin)]) if found.origin else ""


def _lock(places: Iterable[Path]) -> str:
    for place in places:
        if (place / LOCK).is_file():
            return hashlib.sha256((place / LOCK).read_bytes()).hexdigest()
    return ""


def _kernels() -> dict[str, str]:
    """What linear algebra picked for this processor: library and its version -> architecture."""
    import scipy.linalg  # noqa: F401 # with NumPy's library it brings its own
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    libraries = [each for each in threadpool_info() if each["user_api"] == "blas"]
    return {f"{each['internal_api']} {each['version']}": str(each.get("architecture", "")) for each in libraries}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
