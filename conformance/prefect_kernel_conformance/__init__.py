"""Plays the same requests and the same flows against Python Prefect and the kernel, and shows every difference.

`script` is the language sequences are written in, `player` plays a script against one server, `matcher` compares what
two servers said, `run` ties them together. Sequences, generators and client flows each have a folder, by group.
"""
