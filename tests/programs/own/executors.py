"""Executors: threads and processes, defaults, failures, and their end."""

import asyncio
import concurrent.futures
import functools
import multiprocessing
import os
import threading


def square(number):
    return number * number


def fail(text):
    raise ArithmeticError(text)


def name_of_thread():
    return threading.current_thread().name.rpartition("_")[0]


async def main():
    loop = asyncio.get_running_loop()
    print(await loop.run_in_executor(None, name_of_thread))
    with concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="own") as pool:
        print(await loop.run_in_executor(pool, name_of_thread))
        print(await asyncio.gather(*(loop.run_in_executor(pool, square, n) for n in range(10))))
        try:
            await loop.run_in_executor(pool, functools.partial(fail, text="in a thread"))
        except ArithmeticError as error:
            print(repr(error))
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        print(await asyncio.gather(*(loop.run_in_executor(pool, square, n) for n in range(5))))
        print(await loop.run_in_executor(pool, os.getpid) != os.getpid())
        try:
            await loop.run_in_executor(pool, fail, "in a process")
        except ArithmeticError as error:
            print(repr(error))
    try:
        loop.set_default_executor("wrong")
    except TypeError as error:
        print(error)
    await loop.shutdown_default_executor()
    try:
        await loop.run_in_executor(None, square, 1)
    except RuntimeError as error:
        print(error)


async def default_executor():
    loop = asyncio.get_running_loop()
    pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="default")
    loop.set_default_executor(pool)
    print(await asyncio.to_thread(name_of_thread))
    blocker = threading.Event()
    waiting = loop.run_in_executor(None, blocker.wait)
    queued = loop.run_in_executor(None, square, 2)
    await asyncio.sleep(0)
    print(queued.cancel(), queued)
    blocker.set()
    print(await waiting)


asyncio.run(main())
asyncio.run(default_executor())
