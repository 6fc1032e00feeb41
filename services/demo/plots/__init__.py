"""The page's plots: each a pure function from a record to an inline SVG drawing. No file, no template, no library.

`width` is the drawing's own, in pixels at full size: the page shows one made for wide and one for narrow screens.
"""
