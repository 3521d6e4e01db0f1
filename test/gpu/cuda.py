#!/usr/bin/env python3
"""Small CUDA programs on the first visible device, by nothing but the driver's own library.

    cuda.py hold BYTES      takes memory and keeps it, as a loaded model does
    cuda.py burn PART       computes for that part of the time (0 to 1)
    cuda.py wild            writes where no memory is: XID 31

`hold` and `burn` print "ready" and go on until they are killed.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time

MEBIBYTE = 1 << 20
WILD = b"""
.version 7.0
.target sm_50
.address_size 64
.visible .entry wild() {
  .reg .u64 %where;
  .reg .u32 %what;
  mov.u64 %where, 0xdead00000000;
  mov.u32 %what, 1;
  st.global.u32 [%where], %what;
  ret;
}
"""


class Device:
    def __init__(self) -> None:
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.call("cuInit", 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)

    def call(self, name: str, *arguments: object) -> None:
        status = getattr(self.cuda, name)(*arguments)
        if status != 0:
            raise SystemExit(f"{name} answers {status}")

    def memory(self, size: int) -> ctypes.c_uint64:
        address = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address

    def finish(self) -> None:
        self.call("cuCtxSynchronize")


def hold(size: int) -> None:
    device = Device()
    device.memory(size)
    print("ready", flush=True)
    signal.pause()


def burn(part: float) -> None:
    device = Device()
    size = 256 * MEBIBYTE
    address = device.memory(size)

    def work(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for value in range(4):
                device.call("cuMemsetD32_v2", address, value, ctypes.c_size_t(size // 4))
            device.finish()

    print("ready", flush=True)
    # Turns that are short beside the window over which the driver averages.
    turn = 0.02
    while True:
        work(turn * part)
        if part < 1:
            time.sleep(turn * (1 - part))  # tidy: allow(sleep) a load of a known part


def wild() -> None:
    device = Device()
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    device.call("cuModuleLoadData", ctypes.byref(module), WILD)
    device.call("cuModuleGetFunction", ctypes.byref(function), module, b"wild")
    device.call("cuLaunchKernel", function, 1, 1, 1, 1, 1, 1, 0, None, None, None)
    device.finish()


def main() -> None:
    match sys.argv[1:]:
        case ["hold", size]:
            hold(int(size))
        case ["burn", part]:
            burn(float(part))
        case ["wild"]:
            wild()
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
