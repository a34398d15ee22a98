"""Each command does its work and prints the result; an error is one clear line and an exit code."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from support.forged_mano import curled, write_mano
from support.image_files import write_video
from support.small_network import small_network
from support.stubs import StubEstimator, save_untrained_network
from support.synthetic_interhand import write_interhand
from typer.testing import CliRunner

from lgnet_core import __version__
from lgnet_core.cli import app as cli
from lgnet_core.data.clip import Clip, read_clip
from lgnet_core.hand_model import load_hand_layer, read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.inference import HandEstimator
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network import build_network
from lgnet_core.network.checkpoint import save_network
from lgnet_core.network.checkpoint_metadata import DEFAULT_CROP_SIZE
from lgnet_core.types import Camera, Side
from lgnet_core.visualization.drawing import write_png

COMMANDS = (
    "ablate",
    "bench",
    "check",
    "demo",
    "eval",
    "export",
    "live",
    "mano",
    "predict",
    "replay",
    "synth",
    "train",
    "train-palms",
)


@pytest.fixture
def stub(monkeypatch):
    """Replace the estimator by one without a network; returns the arguments of its loading."""
    loaded_with = {}

    def load(weights=None, device="auto", hand_model=None, engine="auto", **more):
        loaded_with.update(weights=weights, device=device, hand_model=hand_model, engine=engine, **more)
        return StubEstimator()

    monkeypatch.setattr(HandEstimator, "load", load)
    monkeypatch.setattr("lgnet_core.io.checkpoint_files.weights_digest", lambda path=None: "0" * 64)
    return loaded_with


@pytest.fixture
def image(tmp_path) -> Path:
    path = tmp_path / "cat.png"
    cv2.imwrite(str(path), np.full((120, 160, 3), 90, np.uint8))
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    return result.exit_code, " ".join(result.output.split())


def run_main(monkeypatch, capsys, *arguments: object) -> tuple[int, str]:
    """Run the console script, which turns exceptions into one line."""
    monkeypatch.setattr(sys, "argv", ["lgnet", *(str(a) for a in arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0), capsys.readouterr().err


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from lgnet_core.cli.app import main; sys.argv = ['lgnet', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'cv2', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for command in COMMANDS:
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    code, output = run(command, "--help")
    assert code == 0
    assert "Usage" in output


def test_predict(stub, image, tmp_path):
    camera = tmp_path / "K.yaml"
    data = [300.0, 0, 79.5, 0, 300, 59.5, 0, 0, 1]
    camera.write_text(yaml.safe_dump({"image_width": 160, "image_height": 120, "camera_matrix": {"data": data}}))
    settings = ("--threshold", 0.4, "--engine", "eager")
    code, output = run("predict", image, "--camera", camera, "-o", tmp_path / "out", *settings)
    assert code == 0, output
    assert "1 image(s): hands found: 0 right, 1 left" in output
    assert "note" not in output
    assert (tmp_path / "out" / "cat_overlay.png").exists()
    result = json.loads((tmp_path / "out" / "cat.json").read_text())
    assert (result["weights"], result["hand_model"]) == ("bundled", "CC0 hand")
    assert (stub["engine"], stub["presence_threshold"], stub["hand_length"]) == ("eager", 0.4, None)


def test_predict_with_a_field_of_view(stub, image, tmp_path):
    code, output = run("predict", image, "--fov", 90, "-o", tmp_path / "out", "--threads", 3)
    assert code == 0, output
    assert "the camera is assumed" in output
    result = json.loads((tmp_path / "out" / "cat.json").read_text())
    np.testing.assert_allclose(result["camera"]["matrix"], [[80, 0, 79.5], [0, 80, 59.5], [0, 0, 1]], atol=1e-9)
    hand = result["hands"][0]
    np.testing.assert_allclose(hand["box"], [*np.min(hand["joints_2d"], 0), *np.max(hand["joints_2d"], 0)])
    assert stub["threads"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fov", 70, "--focal", 500), "give only one of them"),
        (("--fov", 200), "expected degrees between 0 and 180"),
        (("--focal", -1), "expected a number of pixels above 0"),
    ],
)
def test_predict_refuses_impossible_cameras(monkeypatch, capsys, stub, image, tmp_path, options, message):
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    code, output = run_main(monkeypatch, capsys, "predict", image, "-o", tmp_path / "out", *options)
    assert code == 1
    assert message in output


def test_attention_of_a_video_is_refused(monkeypatch, capsys, tmp_path):
    path = write_video(tmp_path / "wave.mp4", np.full((48, 64, 3), 90, np.uint8))
    code, output = run_main(monkeypatch, capsys, "predict", path, "-o", tmp_path / "out", "--attention")
    assert code == 1
    assert "wave.mp4 is a video; extract its frames as images first" in output


def test_predict_several_inputs(stub, image, tmp_path):
    """Equal names do not overwrite each other, an input given twice is used once, and a bad one stops no other."""
    other = tmp_path / "cat"
    other.mkdir()
    write_png(other / "dog.png", np.zeros((48, 64, 3), np.uint8))
    write_png(other / "cat.png", np.zeros((48, 64, 3), np.uint8))
    inputs = (image, other / "cat.png", other, image, tmp_path / "none.png")
    code, output = run("predict", *inputs, "-o", tmp_path / "out")
    assert code == 1
    assert "4 image(s)" in output
    assert "none.png: no such file" in output
    results = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.json")}
    assert results == {"cat.json", "cat-2/cat.json", "cat-3/cat.json", "cat-3/dog.json"}


def test_version():
    assert run("--version") == (0, f"lgnet {__version__}")


@pytest.mark.parametrize(
    "command",
    [
        "export -o FOLDER",
        "export -o FILE/w.onnx",
        "bench -o FOLDER",
        "synth -n 1 -o FILE",
        "synth -n 1 -o FILE/set",
        "predict IMAGE -o FILE",
        "demo -o FILE/out",
        "train --warmup 0 --steps 1 -o FILE",
        "train --warmup 0 --steps 1 --dry-run -o FILE/run",
        "train --warmup 0 --steps 1 --data FILE -o OUT",
        "train --warmup 0 --steps 1 --resume FILE -o OUT",
        *(
            command.replace("X", bad)
            for bad in ("LONG", "FILE/x", "FOLDER")
            for command in (
                "predict X",
                "predict IMAGE -c X -o OUT",
                "export -w X -o OUT",
                "synth -n 1 --hand-model X -o OUT",
                "train --warmup 0 --steps 1 --data X -o OUT",
                "train --warmup 0 --steps 1 --dry-run --data X -o OUT",
                "train --warmup 0 --steps 1 --resume X -o OUT",
                "eval --data X -o OUT",
                "eval --data realhands --root X -o OUT",
                "eval --data interhand26m --root X -o OUT",
                "train-palms --data X --root FOLDER -o OUT",
            )
        ),
        *(
            command.replace("X", bad)
            for bad in ("LONG", "FILE/x")
            for command in (
                "predict IMAGE -o X",
                "synth -n 1 -o X",
                "export -o X/w.onnx",
                "train --warmup 0 --steps 1 -o X",
            )
        ),
    ],
)
def test_bad_paths_are_refused_in_words(monkeypatch, capsys, stub, image, tmp_path, command):
    """Before the work, with the path and the remedy, and without an errno."""
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    names = {"FOLDER": tmp_path / "folder", "FILE": tmp_path / "file", "IMAGE": image, "OUT": tmp_path / "out"}
    names["LONG"] = tmp_path / (300 * "n")
    for name, path in names.items():
        command = command.replace(name, str(path))
    code, output = run_main(monkeypatch, capsys, *command.split())
    assert code == 1
    assert len(output.splitlines()) == 1
    assert str(tmp_path) in output
    assert "; " in output
    assert "Errno" not in output


def test_predict_documents_the_default_presence_threshold(stub, image, tmp_path):
    assert f"Default: {Thresholds().presence}" in " ".join(run("predict", "--help")[1].replace("│", " ").split())
    run("predict", image, "-o", tmp_path / "out")
    assert stub["presence_threshold"] is None  # as Thresholds has it


def test_predict_skips_bad_files_and_exits_with_1(stub, image, tmp_path):
    (tmp_path / "bad[1].jpg").write_bytes(b"nonsense")
    code, output = run("predict", tmp_path, "-o", tmp_path / "out")
    assert code == 1
    assert "1 image(s)" in output
    assert "skipped:" in output
    assert "bad[1].jpg: is not a readable image" in output  # brackets are not markup
    assert "note: no camera was given" in output


def test_predict_without_usable_images_reports_no_results(stub, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"nonsense")
    code, output = run("predict", tmp_path / "bad.jpg", "-o", tmp_path / "out")
    assert code == 1
    assert output.startswith("skipped:")
    assert "results in" not in output
    assert "camera" not in output


def test_errors_are_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    code, output = run_main(monkeypatch, capsys, "predict", tmp_path / "nowhere.png")
    assert code == 1
    assert output.startswith("lgnet: ")
    assert "nowhere.png: no such file" in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG, errno.ENOTDIR])
def test_errors_of_the_system_are_one_line(monkeypatch, capsys, stub, image, tmp_path, number):
    """With the file and the remedy, wherever in a command they occur."""
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)

    def fail(*_):
        raise OSError(number, os.strerror(number), str(image))

    monkeypatch.setattr(StubEstimator, "estimate", fail)
    code, output = run_main(monkeypatch, capsys, "predict", image, "-o", tmp_path / "out")
    assert code == 1
    assert len(output.splitlines()) == 1
    assert output.startswith(f"lgnet: {image}: ")
    assert "; " in output
    assert "Errno" not in output


def test_debug_shows_the_traceback(monkeypatch, tmp_path):
    monkeypatch.setenv(cli.DEBUG_VARIABLE, "")
    monkeypatch.setattr(sys, "argv", ["lgnet", "--debug", "predict", str(tmp_path / "nowhere.png")])
    with pytest.raises(ValueError, match="no such file"):
        cli.main()


def test_unexpected_errors_show_their_type(monkeypatch, capsys, stub, image, tmp_path):
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    monkeypatch.setattr(StubEstimator, "estimate", lambda *_: {}["gone"])
    code, output = run_main(monkeypatch, capsys, "predict", image, "-o", tmp_path / "out")
    assert code == 1
    assert "KeyError: 'gone' (--debug shows where)" in output


def test_wrong_usage_exits_with_2(monkeypatch, capsys):
    assert run_main(monkeypatch, capsys, "predict")[0] == 2
    assert run_main(monkeypatch, capsys, "fly")[0] == 2


def test_demo(stub, tmp_path):
    code, output = run("demo", "-o", tmp_path / "demo", "-w", "mine.safetensors")
    assert code == 0, output
    assert "hands found" in output
    assert "mean joint error" in output
    assert (tmp_path / "demo" / "contact_sheet.png").exists()
    assert str(stub["weights"]) == "mine.safetensors"


def test_demo_writes_into_its_own_folder(stub, monkeypatch, tmp_path):
    """`make demo` writes images, some with the same names, to out/demo."""
    monkeypatch.chdir(tmp_path)
    assert run("demo")[0] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["lgnet_demo"]


def test_check_exits_with_1_on_a_problem(tmp_path):
    code, output = run("check", "--hand-model", tmp_path / "nowhere")
    assert code == 1
    assert "PROBLEM hand model" in output
    assert "-> " in output


def test_synth(tmp_path):
    code, output = run("synth", "--out", tmp_path / "set", "--count", 3, "--size", 64, "--device", "cpu")
    assert code == 0, output
    assert "3 images" in output
    assert (tmp_path / "set" / "sheet.png").exists()
    assert (tmp_path / "set" / "set.json").exists()


def test_train_passes_its_options_on(monkeypatch, tmp_path):
    from lgnet_core.training import train

    got = []
    monkeypatch.setattr(train, "train", lambda config: got.append(config) or tmp_path / "w.safetensors")
    code, output = run("train", "-o", tmp_path, "--steps", 700, "--no-flip", "--learning-rate", 0.001)
    assert code == 0, output
    assert got == [train.TrainConfig(out=tmp_path, steps=700, flip=False, learning_rate=0.001)]


def test_train_palms_passes_its_options_on(monkeypatch, tmp_path):
    from lgnet_core.training.palms import train as palms

    got = []
    monkeypatch.setattr(palms, "train_palms", lambda config: got.append(config) or tmp_path / "w.safetensors")
    given = ("--data", "a, b", "--root", tmp_path, "--steps", 7, "--learning-rate", 0.001, "--threads", 2)
    code, output = run("train-palms", "-o", tmp_path, *given)
    assert code == 0, output
    config = palms.PalmTrainConfig(tmp_path, (Path("a"), Path("b")), tmp_path, 7, learning_rate=0.001, threads=2)
    assert got == [config]
    assert "w.safetensors" in output


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (("--data", ","), "lgnet synth"),
        (("--data", "none", "--batch-size", "3"), "give an even number"),
        (("--data", "none"), "lgnet synth"),
        (("--data", "none", "--steps", "0"), "steps: expected a number above 0"),
    ],
)
def test_train_palms_explains_bad_options(monkeypatch, capsys, tmp_path, options, remedy):
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    code, output = run_main(monkeypatch, capsys, "train-palms", "-o", tmp_path / "out", "--root", tmp_path, *options)
    assert code == 1
    assert remedy in output
    assert not (tmp_path / "out").exists()


def test_eval_of_the_bundled_weights(tmp_path):
    code, output = run("eval", "--data", "synthetic", "-n", 4, "--device", "cpu", "--batch", 2, "-o", tmp_path / "eval")
    assert code == 0, output
    assert output.startswith("evaluating weights bundled on 4 images of synthetic-1")
    assert "weights bundled on synthetic-1 (4 images)" in output
    assert "PA-MPJPE, mm" in output
    figures = json.loads((tmp_path / "eval" / "figures.json").read_text())["categories"]["all"]["figures"]
    mpjpe = figures["mpjpe_mm/wrist-raw"]
    assert f"MPJPE, mm │ wrist-raw │ {mpjpe['weights']:.1f} │" in output
    for name in ("figures.csv", "pck.png", "reliability.png", "predictions.png", "worst.png"):
        assert (tmp_path / "eval" / name).exists()


def test_eval_of_an_annotated_set(hand_model, tmp_path, monkeypatch):
    """InterHand2.6M's format: figures under named protocols beside the published ones, and what was left out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = write_interhand(tmp_path / "set", hand_model, 4)
    (made.root / "images" / "test" / made.names[0]).unlink()
    options = ("--root", made.root, "--split", "test", "--annotation", "H+M", "--device", "cpu", "-o", tmp_path / "out")
    code, output = run("eval", "--data", "interhand26m", *options)
    assert code == 0, output
    assert "InterHand2.6M test, H+M, all (3 images)" in output
    assert "InterNet: wrist-raw, joint_3d" in output
    assert "LGNet paper (see 1 to 4)" in output
    assert "1. LGNet's PCK figure contradicts its table" in output
    assert "note: joints only (joint_3d)" in output
    assert "skipped: 1 x image is missing" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data", "interhand26m"), "pass the folder of the data set with --root"),
        (("--data", "interhand26m", "--root", "nowhere"), "files are missing); --root must be the folder"),
        (("--data", "hic", "--root", "."), "pass your MANO model with --hand-model"),
        (("--subset", "best"), "choose from all, SH, IH, lgnet"),
    ],
)
def test_eval_explains_missing_data(monkeypatch, capsys, tmp_path, options, message):
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    code, output = run_main(monkeypatch, capsys, "eval", *options, "-o", tmp_path / "out")
    assert code == 1
    assert message in " ".join(output.split())


def test_eval_of_a_folder_without_a_set(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    code, output = run_main(monkeypatch, capsys, "eval", "--data", tmp_path, "-o", tmp_path / "out")
    assert code == 1
    assert "lgnet synth" in output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("command", "missing"), [("eval", "torchmetrics"), ("train", "pytorch_lightning")])
def test_a_missing_extra_is_explained(tmp_path, command, missing):
    """In a Python without that package; everything else of the core imports there."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['lgnet', {command!r}, '-o', {str(tmp_path)!r}]\n"
        "import lgnet_core.inference, lgnet_core.visualization.drawing, lgnet_core.cli.app\n"
        "lgnet_core.cli.app.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert missing in done.stderr
    assert "pip install 'lgnet_ros[train]'" in " ".join(done.stderr.split())


def test_bench(tmp_path):
    code, output = run(
        "bench", "-p", "lgnet-mini", "-e", "eager", "--device", "cpu", "-n", 1, "-o", tmp_path / "a" / "figures.json"
    )
    assert code == 0, output
    assert "lgnet-mini" in output
    figures = json.loads((tmp_path / "a" / "figures.json").read_text())
    (network,), (pipeline,) = figures["networks"], figures["pipelines"]
    assert (network["network"], network["engine"]) == ("lgnet-mini", "eager")
    assert pipeline["latency"]["estimate"]["p50"] > 0


def test_export(tmp_path):
    weights = save_untrained_network(tmp_path / "w.safetensors")
    code, output = run("export", "-w", weights, "-o", tmp_path / "a" / "w.onnx", "--size", 128)
    assert code == 0, output
    assert (tmp_path / "a" / "w.onnx").stat().st_size > 1e6


@pytest.mark.parametrize(("trained", "exported"), [(64, 64), (None, DEFAULT_CROP_SIZE)])
def test_export_uses_the_crop_size_of_the_training(tmp_path, hand_model, monkeypatch, trained, exported):
    """At another size the network runs too, and sees badly."""
    asked = []

    def write(network, path, inputs):
        asked.append(inputs[0].shape[-1])
        path.write_bytes(b"onnx")

    monkeypatch.setattr("lgnet_core.engines.export.export_onnx", write)
    about = {"preset": "small"} | ({} if trained is None else {"size": trained})
    save_network(tmp_path / "w.safetensors", small_network(hand_model), about)
    code, output = run("export", "-w", tmp_path / "w.safetensors", "-o", tmp_path / "w.onnx")
    assert code == 0, output
    assert asked == [exported]
    assert f"{exported}x{exported}" in output


def test_export_of_a_per_hand_network_writes_two_files(tmp_path, hand_model, monkeypatch):
    monkeypatch.setattr(
        "lgnet_core.engines.export.export_onnx", lambda network, path, inputs: path.write_bytes(b"onnx")
    )
    save_network(tmp_path / "w.safetensors", build_network("lgnet-hand", hand_model), {"preset": "lgnet-hand"})
    code, output = run("export", "-w", tmp_path / "w.safetensors", "-o", tmp_path / "hands.onnx")
    assert code == 0, output
    assert {path.name for path in tmp_path.glob("*.onnx")} == {"hands_landmarks.onnx", "hands_stages.onnx"}
    assert "crop 3x224x224" in output
    assert "intrinsics 3x3" in output


def test_mano_convert_names_the_missing_file(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    missing = tmp_path / "MANO_RIGHT.pkl"
    code, output = run_main(monkeypatch, capsys, "mano", "convert", missing, missing, "-o", tmp_path / "out")
    assert code == 1
    assert "MANO_RIGHT.pkl: no such file" in output


@pytest.fixture(scope="module")
def mano(hand_model, tmp_path_factory) -> Path:
    """A folder with a converted MANO, an image of both hands and weights that were trained with the bundled hand."""
    folder = tmp_path_factory.mktemp("mano")
    bundled = read_asset(BUNDLED_ASSET)
    right = curled(replace(bundled, v_template=bundled.v_template * np.float32([1.1, 1.0, 0.95])))
    code, output = run("mano", "convert", *write_mano(folder, right), "-o", folder / "converted")
    assert code == 0, output
    clip = read_clip()
    write_png(folder / "cat.png", clip.frames[clip.presence.all(1).argmax()])
    save_network(folder / "bundled.safetensors", small_network(hand_model), {"preset": "small"})
    return folder


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("check --full -w W --device cpu", "parametric surface of MANO"),
        ("predict IMAGE -w W -o OUT", "1 right, 1 left"),
        ("demo -w W -o OUT", "hands found"),
        ("export -w W -o OUT --size 64", "predicts hands of 'CC0 hand'"),
        ("bench -p lgnet-mini -e eager --device cpu -n 1 -o OUT", "lgnet-mini"),
        ("synth -n 2 --size 64 --device cpu -o OUT", "2 images"),
        (
            "train -o OUT --steps 1 --warmup 0 --epoch-steps 1 --batch-size 2 --validation 2 --size 64 "
            "--initial random --no-refine --no-flip --device cpu",
            "weights:",
        ),
    ],
    ids=lambda text: text.split()[0],
)
def test_commands_accept_a_converted_mano(mano, monkeypatch, tmp_path, command, says):
    """Also with weights of the bundled hand: nobody needs others to get meshes of MANO."""
    load = HandEstimator.load  # with the engine that starts at once
    monkeypatch.setattr(HandEstimator, "load", lambda *given, **more: load(*given[:3], "eager", **more))
    frames = [np.full((96, 128, 3), 90, np.uint8)] * 2
    camera = Camera(np.array([[100.0, 0, 64], [0, 100.0, 48], [0, 0, 1]]), 128, 96)
    clip = Clip(frames, camera, np.full((2, 2, 21, 3), 0.5), np.ones((2, 2), bool), 10.0)
    monkeypatch.setattr("lgnet_core.commands.demo.read_clip", lambda: clip)
    places = {"W": mano / "bundled.safetensors", "IMAGE": mano / "cat.png", "OUT": tmp_path / "out"}
    words = [places.get(word, word) for word in command.split()]
    code, output = run(*words, "--hand-model", mano / "converted")
    assert code == 0, output
    assert says in output
    if words[0] == "predict":
        with np.load(tmp_path / "out" / "cat.npz") as found:
            parameters = (torch.tensor(found[f"left_{key}"][None]).float() for key in ("rotations", "shape"))
            surface = load_hand_layer(mano / "converted")(*parameters, side=Side.LEFT).wrist_relative()
            np.testing.assert_allclose(found["left_vertices"], surface.vertices[0], atol=1e-5)
