"""Logs of trainings, read back as the libraries that they are for write and read them."""

import json
import struct
import sys

import numpy as np
import pytest

from cbackprop import DivergenceError, Network, loggers, schedules

REASON = "the library of this logger is not installed"


def train(log, epochs=3, **arguments):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 4)), np.arange(50) % 3
    net = Network([4, 5, 3], seed=0)
    arguments = {"optimizer": "adam", "validation_split": 0.2, **arguments}
    return net, net.SGD((x, y), epochs, 5, schedules.Step(0.01, 5), (x, y), callbacks=[log],
                        **arguments)


def diverge(log):
    net = Network([1, 2, 1], activation="identity", output_activation="identity", seed=0)
    with pytest.raises(DivergenceError):
        net.SGD((np.ones((9, 1)), np.zeros((9, 1))), 99, 1, 1e3, callbacks=[log])


WANTED = {  # some parameters of the run
    "sizes": "(4, 5, 3)", "mini_batch_size": 5, "rows": 40, "optimizer": "adam", "beta1": 0.9,
    "eta": "Step(eta=0.01, every=5, factor=0.5)",
}


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX", reason=REASON)
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason=REASON)
    log = loggers.TensorBoard(tmp_path / "run", histograms=True)
    assert log.writes() == (str(tmp_path / "run"),)
    net, history = train(log)
    found = accumulator.EventAccumulator(str(tmp_path / "run")).Reload()
    assert set(found.Tags()["scalars"]) == set(history.recorded)
    for name in history.recorded:
        curve = found.Scalars(name)
        assert [point.step for point in curve] == [1, 2, 3]
        assert np.float32(history.series(name)).tolist() == [point.value for point in curve]
    last = found.Histograms("weights/1")[-1]
    assert last.step == 3
    assert last.histogram_value.num == net.weights[1].size
    np.testing.assert_allclose(last.histogram_value.sum, net.weights[1].sum(), rtol=1e-5)
    table = found.Tensors("parameters/text_summary")[0].tensor_proto.string_val[0].decode()
    for name, value in WANTED.items():
        assert f"| {name} | {value} |" in table


def test_mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow", reason=REASON)
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    _, history = train(loggers.MLflow(run_name="own"))
    assert mlflow.active_run() is None
    with mlflow.start_run(run_name="active"):
        mlflow.log_param("epochs", 99)  # the user's: it stays
        train(loggers.MLflow(), epochs=1)
        assert mlflow.active_run() is not None
    diverge(loggers.MLflow(run_name="bad"))
    runs = {run.info.run_name: run for run in mlflow.search_runs(output_format="list")}
    assert {name: run.info.status for name, run in runs.items()} == {
        "own": "FINISHED", "active": "FINISHED", "bad": "FAILED"}
    for name in history.recorded:
        curve = mlflow.MlflowClient().get_metric_history(runs["own"].info.run_id, name)
        assert [(point.step, point.value) for point in curve] == list(
            enumerate(history.series(name), 1))
    assert runs["own"].data.params.items() >= {
        name: str(value) for name, value in WANTED.items()}.items()
    assert runs["own"].data.params["epochs"] == "3"
    assert runs["active"].data.params["epochs"] == "99"


def records(path):
    """Read the file of an offline run: LevelDB's log of protocol buffers."""
    from wandb.proto import wandb_internal_pb2

    content, at, record = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if 2**15 - at % 2**15 < 7:  # no header fits into the rest of a block
            at += 2**15 - at % 2**15
            continue
        length, kind = struct.unpack("<HB", content[at + 4:at + 7])
        record += content[at + 7:at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part of one
            yield wandb_internal_pb2.Record.FromString(record)
            record = b""


def items(found):
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in found}


@pytest.mark.slow
def test_wandb(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb = pytest.importorskip("wandb", reason=REASON)
    log = loggers.WandB(mode="offline", dir=tmp_path, project="tests")
    _, history = train(log)
    assert wandb.run is None
    diverge(log)
    found = [list(records(path)) for path in sorted(
        tmp_path.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns)]
    rows = [items(record.history.item) for record in found[0] if record.HasField("history")]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for name in history.recorded:
        assert [row[name] for row in rows] == history.series(name)
    config = [items(r.config.update) for r in found[0] if r.HasField("config")]
    assert {key: value for part in config for key, value in part.items()}.items() >= WANTED.items()
    assert [record.exit.exit_code for run in found for record in run
            if record.HasField("exit")] == [0, 1]


@pytest.mark.parametrize(("log", "library"), [
    ("TensorBoard", "tensorboardX"), ("MLflow", "mlflow"), ("WandB", "wandb")])
def test_without_the_library(log, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModuleNotFoundError, match=rf"^{log} needs {library}: pip install 'cbackpro"
                                                  rf"p\[{log.lower()}\]'$"):
        getattr(loggers, log)(*["folder"][:log == "TensorBoard"])
