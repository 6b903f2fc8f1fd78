"""One file for each format of pictures, videos and voices: which bytes stay.

A walker is a generator that is told nothing but the bytes. It finds width and
height, ends where the picture ends, and says of every byte whether it stays:
pixels, colours, animation and orientation do; where and when a picture was
taken, with what and by whom does not, nor does anything after its end. What is
not known to be needed goes, so that tomorrow's metadata goes too. Nothing is
decoded. In videos nothing may move, and so what goes is overwritten in place.
Begin with walk.py; reader.py, a level above, drives the walkers.
"""
