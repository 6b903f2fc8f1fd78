"""What templates receive: plain values made from what core returns, by subject.

Nothing here reads a request or asks core for anything. page.py lists everything that a
template may call.
"""
