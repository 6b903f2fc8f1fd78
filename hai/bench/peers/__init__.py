"""Servers to compare Hai with, each a program of its own."""
