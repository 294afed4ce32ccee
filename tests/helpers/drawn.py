"""Whether what a figure says can be read: labels whole, and apart from each other."""

import itertools

import numpy as np


def texts_of(figure):
    """Return where each text of a figure is, once drawn; not what is switched off, or beyond."""
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    figure.draw_without_rendering()
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    hidden = []
    for axes in figure.findobj(Axes):
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not (axes.axison and axis.get_visible()
                        and min(limits) <= tick.get_loc() <= max(limits)):
                    hidden += [tick.label1, tick.label2]
    return [(text.get_text(), Text.get_window_extent(text))  # no arrows
            for text in found if text not in hidden]


def check_labels(figure, least):
    """See that there are so many labels at least, none is cut off, and no two overlap."""
    from matplotlib.transforms import Bbox

    texts = texts_of(figure)
    assert len(texts) >= least
    whole = figure.bbox.padded(1)
    for text, box in texts:
        assert whole.contains(box.x0, box.y0), text
        assert whole.contains(box.x1, box.y1), text
        assert np.isfinite(box.extents).all(), text
    for (one, a), (other, b) in itertools.combinations(texts, 2):
        common = Bbox.intersection(a, b)
        assert common is None or min(common.width, common.height) < 1, (one, other)
