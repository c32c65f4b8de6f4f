"""Lets a test break a process from within, by a signal: SIGUSR1 ends paho's thread, SIGUSR2 hangs the event loop."""

import ctypes
import signal
import threading
import time


def _end_network_thread(_signal, _frame):
    for thread in threading.enumerate():
        if thread.ident and thread.name.startswith("paho-mqtt-client"):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))


def _hang(_signal, _frame):
    time.sleep(3_600)


signal.signal(signal.SIGUSR1, _end_network_thread)
signal.signal(signal.SIGUSR2, _hang)
