"""All that passes between kernel and browser, written down once.

``selections`` and ``results`` list the traits, ``requests`` what the browser may ask, ``tensors``
what binary data holds. The session's builders are annotated with these types, so that mypy checks
them; ``python -m vit_attention_widget.protocol.typescript`` writes the same types for the browser,
comments included. What goes as JSON has only what JSON has: lists for tuples, None for NaN.
"""
