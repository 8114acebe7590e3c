"""Features that come as a pack: one line in the project file stands for several declarations.

A pack expands into ordinary features when the project is loaded, so that whatever lists, checks,
versions, keeps or reads features never knows where they were written. A kind of pack is a file in
``kinds``, and a line in its list.
"""
