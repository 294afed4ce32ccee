"""Where the chapter's equations stand in a source text."""

import re

LABELS = ["(25)", "BP1", "BP2", "BP3", "BP4"]
FUNCTION = re.compile(r"^(?:cdef|cpdef|def)\b[^\n:=]*?\b(\w+)\(", re.MULTILINE)
# The end of a signature is a colon at the end of a line, whatever comments its arguments have.
BODY = re.compile(r":[ \t]*\n((?:[ \t]+\S.*\n|[ \t]*\n)*)")
DOCSTRING = re.compile(r'\s*(?:"""(?:.|\n)*?"""|"[^"\n]*")[ \t]*\n')
LABEL = re.compile(rf"\s*#\s*({'|'.join(map(re.escape, LABELS))})\s+[^\n]*=")


def labels_in_order(source):
    """
    Return the functions that have an equation's label as their leading comment.

    The leading comment is the first line of the body after the docstring, if there is one; it
    begins with the label, and a formula follows.

    Parameters
    ----------
    source : str
        Of one file, or of several, one after the other, in Cython or Python.

    Returns
    -------
    list of (str, str)
        Label and name of the function, in the order of the source.
    """
    starts = list(FUNCTION.finditer(source))
    ends = [start.start() for start in starts[1:]] + [len(source)]
    found = []
    for start, end in zip(starts, ends, strict=True):
        signature = BODY.search(source, start.end(), end)
        if not signature:
            continue
        body = signature[1]
        docstring = DOCSTRING.match(body)
        label = LABEL.match(body[docstring.end():] if docstring else body)
        if label:
            found.append((label[1], start[1]))
    return found
