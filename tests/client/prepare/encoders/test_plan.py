import pytest
import torch

from client.prepare.encoders import plan
from client.prepare.encoders.plan import Plan, cpu_has_bf16, plan_compute
from shared.errors import EncoderError
from shared.site import Compute


@pytest.fixture
def machine(monkeypatch):
    """Say what the machine has."""

    def give(*, openvino=False, gpus=0, cpu_bf16=False, openvino_bf16=False, gpu_bf16=True):
        monkeypatch.setattr(plan.importlib.util, "find_spec", lambda name: object() if openvino else None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: gpu_bf16)
        monkeypatch.setattr(plan, "cpu_has_bf16", lambda: cpu_bf16)
        monkeypatch.setattr(plan, "openvino_has_bf16", lambda: openvino_bf16)

    return give


def chosen(**compute):
    made = plan_compute(Compute(**compute))
    return made.device, made.engine, made.precision


def test_without_a_site_it_is_the_reference():
    assert plan_compute(None) == Plan("cpu", "torch", "fp32", 1)


def test_auto_takes_the_fastest_that_is_there(machine):
    machine()
    assert chosen() == ("cpu", "torch", "fp32")
    machine(cpu_bf16=True)
    assert chosen() == ("cpu", "torch", "bf16")
    machine(openvino=True, cpu_bf16=True)  # OpenVINO's own word counts where it computes
    assert chosen() == ("cpu", "openvino", "fp32")
    machine(openvino=True, openvino_bf16=True)
    assert chosen() == ("cpu", "openvino", "bf16")
    machine(openvino=True, gpus=1)
    assert chosen() == ("cuda:0", "torch", "bf16")
    machine(gpus=1, gpu_bf16=False)
    assert chosen() == ("cuda:0", "torch", "fp32")


def test_what_a_person_wrote_is_done(machine):
    machine(openvino=True, gpus=2, openvino_bf16=True)
    assert chosen(device="cpu") == ("cpu", "openvino", "bf16")
    assert chosen(device="cpu", engine="torch", precision="fp32") == ("cpu", "torch", "fp32")
    assert chosen(device="cuda:1", precision="fp32") == ("cuda:1", "torch", "fp32")
    assert chosen(engine="openvino", precision="fp32") == ("cpu", "openvino", "fp32")
    demanding = plan_compute(Compute(engine="openvino", precision="fp32", workers=3))
    assert (demanding.workers, demanding.engine_demanded, demanding.precision_demanded) == (3, True, True)


def test_bf16_that_openvino_lacks_is_emulated_by_torch_unless_openvino_is_demanded(machine):
    machine(openvino=True)
    assert chosen(precision="bf16") == ("cpu", "torch", "bf16")
    with pytest.raises(EncoderError, match='expected a processor with bf16 .* got one without; write precision = "au'):
        plan_compute(Compute(precision="bf16", engine="openvino"))


def test_what_the_machine_lacks_is_refused(machine):
    machine(gpus=1)
    with pytest.raises(EncoderError, match="expected the GPU cuda:1 of the site file, got 1 GPUs .*; install a driver"):
        plan_compute(Compute(device="cuda:1"))
    with pytest.raises(EncoderError, match=r"expected the package openvino, .* got none; pip install"):
        plan_compute(Compute(engine="openvino"))
    with pytest.raises(EncoderError, match='expected engine = "openvino" on the CPU, got device = "cuda"; write'):
        plan_compute(Compute(engine="openvino", device="cuda"))


def test_batches_are_larger_on_a_gpu():
    assert (Plan().batch, Plan(device="cuda:0").batch) == (4, 64)


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16", True),
        ("flags\t\t: fpu amx_bf16", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("Features\t: fp asimd bf16", True),  # Arm
    ],
)
def test_the_processors_own_flags_are_read(line, has, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\npower management:\n")
    monkeypatch.setattr(plan, "CPU_INFO", tmp_path / "cpuinfo")
    assert cpu_has_bf16() is has
    monkeypatch.setattr(plan, "CPU_INFO", tmp_path / "none")
    assert cpu_has_bf16() is False
