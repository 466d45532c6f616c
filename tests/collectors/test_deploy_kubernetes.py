"""What lies in deploy/ for Kubernetes: real Helm renders the chart, and real schemas judge it.

Helm is `helm-python-sdk`: Helm's own Go code as a library. The schemas of Kubernetes are those in
`kubernetes-validate`. Neither asks a cluster, nor the network.
"""

import re
import tomllib
from pathlib import Path

import pytest

from tokenergy_collectors.settings.config import Config

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: no manifest can be read")

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "tokenergy"
PLAIN = DEPLOY / "kubernetes" / "daemonset.yaml"
HELM_LABELS = {"app.kubernetes.io/managed-by", "helm.sh/chart"}

EVERY_VALUE = {
    "image": {"repository": "registry.example.org/collect", "tag": "1", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "cluster": "hpc-a",
    "config": 'rate_hz = 20.0\n[[tokens]]\nsource_id = "a"\nurl = "http://a/metrics"\njob_id = "j"',
    "kubernetes": 'every_s = 2.0\njob_id = "{namespace}"',
    "lake": {"hostPath": "/data/lake"},
    "kubelet": {"root": "/var/lib/k0s/kubelet"},
    "rapl": {"enabled": True},
    "runtimeClassName": "",
    "nodeSelector": {"gpu": "yes"},
    "tolerations": [],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "system-node-critical",
    "resources": {},
    "hostPID": True,
    "terminationGracePeriodSeconds": 30,
    "maxUnavailable": 1,
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
    "env": [{"name": "X", "value": "y"}],
    "envFrom": [{"secretRef": {"name": "store"}}],
    "extraVolumes": [{"name": "more", "configMap": {"name": "slices"}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/etc/slices"}],
}


@pytest.fixture(scope="module")
def helm():
    reason = "helm-python-sdk is not installed: the chart cannot be rendered"
    return pytest.importorskip("helm_python", reason=reason)


@pytest.fixture
def render(helm):
    def render(values=None, name="tokenergy"):
        with helm.Chart.load(str(CHART)) as chart:
            chart.validate_schema(values or {})
            found = chart.render(values or {}, name=name, namespace="tokenergy")
        texts = [text for path, text in sorted(found.items()) if path.endswith(".yaml")]
        return [one for text in texts for one in yaml.safe_load_all(text) if one]

    return render


def plain():
    return [one for one in yaml.safe_load_all(PLAIN.read_text()) if one]


def of(kind, manifests):
    [found] = [one for one in manifests if one["kind"] == kind]
    return found


def pod_of(manifests):
    return of("DaemonSet", manifests)["spec"]["template"]["spec"]


def config_of(manifests):
    """The configuration as the daemon reads it."""
    text = of("ConfigMap", manifests)["data"]["collect.toml"]
    return Config.model_validate(tomllib.loads(text) | {"lake": "/x"})


def valid(manifests):
    reason = "kubernetes-validate is not installed: there are no schemas to check with"
    checker = pytest.importorskip("kubernetes_validate", reason=reason)
    for version in ("1.30", "1.35"):
        for manifest in manifests:
            checker.validate(manifest, version, strict=True)


def test_helm_finds_nothing_wrong(helm):
    found = helm.lint(str(CHART), strict=True)
    assert found["errors"] == []
    assert {one["error"] for one in found["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize("values", [{}, EVERY_VALUE])
def test_what_helm_renders_fits_the_schemas_of_kubernetes(render, values):
    manifests = render(values)
    assert [one["kind"] for one in manifests] == ["ConfigMap", "DaemonSet"]
    valid(manifests)


def test_the_plain_manifest_fits_the_schemas_of_kubernetes():
    manifests = plain()
    assert [one["kind"] for one in manifests] == ["Namespace", "ConfigMap", "DaemonSet"]
    valid(manifests)


def test_the_plain_manifest_is_what_the_chart_renders(render):
    rendered, by_hand = render(), plain()[1:]
    for manifest in rendered:
        for label in HELM_LABELS:
            del manifest["metadata"]["labels"][label]
    del of("DaemonSet", rendered)["spec"]["template"]["metadata"]["annotations"]
    assert rendered == by_hand


def test_every_value_of_the_chart_is_used(render):
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values.keys() == EVERY_VALUE.keys() | {"securityContext"}
    manifests = render(EVERY_VALUE, name="other")
    text = yaml.safe_dump(manifests)
    for word in ("registry.example.org/collect:1", "pull", "/data/lake", "/var/lib/k0s/kubelet"):
        assert word in text
    pod = pod_of(manifests)
    assert "runtimeClassName" not in pod
    assert pod["hostPID"] is True
    [container] = pod["containers"]
    assert {"name": "more", "mountPath": "/etc/slices"} in container["volumeMounts"]
    assert of("DaemonSet", manifests)["metadata"]["name"] == "other-tokenergy"


def test_a_value_that_the_chart_does_not_have_is_refused(helm, render):
    with pytest.raises(Exception, match="nodeselector"):
        render({"nodeselector": {}})


def test_the_configuration_is_one_that_the_daemon_reads(render):
    found = config_of(render())
    assert found.kubernetes.enabled
    found = config_of(render(EVERY_VALUE))
    assert (found.cluster, found.rate_hz, found.kubernetes.every_s) == ("hpc-a", 20.0, 2.0)
    assert [source.source_id for source in found.tokens] == ["a"]


def test_the_counters_of_processors_are_mounted_where_the_daemon_looks(render):
    manifests = render({"rapl": {"enabled": True}})
    [container] = pod_of(manifests)["containers"]
    [mount] = [one for one in container["volumeMounts"] if one["name"] == "powercap"]
    assert mount == {
        "name": "powercap",
        "mountPath": config_of(manifests).rapl.folder,
        "readOnly": True,
    }
    [volume] = [one for one in pod_of(manifests)["volumes"] if one["name"] == "powercap"]
    assert volume["hostPath"]["path"] == "/sys/devices/virtual/powercap/intel-rapl"
    assert "powercap" not in str(render())


def test_a_changed_configuration_starts_the_pods_anew(render):
    sums = [
        of("DaemonSet", render(values))["spec"]["template"]["metadata"]["annotations"]
        for values in ({}, {"cluster": "a"}, {"kubernetes": "every_s = 2.0"}, {"hostPID": True})
    ]
    assert len({one["checksum/config"] for one in sums}) == 3


def test_the_values_on_the_page_are_values_of_the_chart(render):
    page = (DEPLOY.parent / "docs" / "kubernetes.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    values = [one for block in blocks for one in yaml.safe_load_all(block)]
    assert len(values) == 5
    configs = [config_of(render(one)) for one in values]
    assert configs[0].upload.to == "s3://fleet-power/east"
    assert configs[1].tokens[0].job_id == "ml/server"
    assert configs[2].kubernetes.job_id == "{namespace}/{container}"
    files = (configs[3].reports.socket, configs[4].kubernetes.resource_slices)
    for file, given in zip(files, values[3:], strict=True):
        [container] = pod_of(render(given))["containers"]
        assert str(Path(file).parent) in [one["mountPath"] for one in container["volumeMounts"]]
    for path in re.findall(r"(?<=[ `])deploy/[\w/.]+", page):
        assert (DEPLOY.parent / path).exists()


def test_the_daemon_gets_what_it_reads_and_no_more():
    pod, config = pod_of(plain()), config_of(plain()).kubernetes
    [container] = pod["containers"]
    mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
    volumes = {one["name"]: one for one in pod["volumes"]}
    of_host = {
        "/var/lib/kubelet/pod-resources": str(Path(config.socket).parent),
        "/var/log/pods": config.pod_logs,
        "/sys/fs/cgroup": config.cgroups,
    }
    for path, mounted in of_host.items():
        assert volumes[mounts[mounted]["name"]]["hostPath"]["path"] == path
        assert mounts[mounted]["readOnly"] is True
    writable = {path for path, one in mounts.items() if not one.get("readOnly")}
    assert writable == {"/var/lib/tokenergy", "/tmp"}  # noqa: S108 - a mount of the pod
    assert volumes.keys() == {one["name"] for one in mounts.values()}
    context = container["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert (context["privileged"], context["allowPrivilegeEscalation"]) == (False, False)
    assert context["readOnlyRootFilesystem"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for name in ("hostPID", "hostNetwork", "hostIPC"):
        assert name not in pod
    assert "nvidia.com/gpu" not in str(container["resources"])
    assert "cpu" not in container["resources"]["limits"]


def test_its_options_are_those_of_the_command():
    import typer

    from tokenergy_collectors import cli

    [container] = pod_of(plain())["containers"]
    command = typer.main.get_command(cli.app)
    words = container["args"]
    with command.make_context("tokenergy-collect", list(words)) as context:
        name, run, rest = command.resolve_command(context, words)
        found = run.make_context(name, rest).params
    assert (name, found["lake"], found["node"]) == (
        "run",
        "/var/lib/tokenergy/lake",
        "$(NODE_NAME)",
    )
    assert str(found["config"]) == "/etc/tokenergy/collect.toml"
    names = {one["name"]: one for one in container["env"]}
    assert names["NODE_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"


def test_the_chart_has_the_version_of_the_package():
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == project["version"]
    assert re.search(rf":{re.escape(project['version'])}\b", PLAIN.read_text())
