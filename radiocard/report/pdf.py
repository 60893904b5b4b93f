"""The same page as PDF (extra ``pdf``)."""

from __future__ import annotations

from radiocard.errors import MissingExtraError


def to_pdf(html: str) -> bytes:
    """Print a report page to PDF (A4); nothing outside the page is fetched.

    Parameters
    ----------
    html : str
        Page of :func:`radiocard.report.html.render_patient` or ``render_cohort``.

    Returns
    -------
    bytes
        The PDF file.

    Raises
    ------
    MissingExtraError
        If weasyprint, or the pango library that it needs, is not installed.
    """
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:
        msg = f"A PDF report needs weasyprint and the pango library: {error}."
        raise MissingExtraError(msg, hint="Install with: pip install 'radiocard[pdf]'") from None
    fetcher = URLFetcher(allowed_protocols=("data",))
    return bytes(HTML(string=html, url_fetcher=fetcher, base_url=None).write_pdf())
