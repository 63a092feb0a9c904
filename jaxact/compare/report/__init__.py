"""Reports of a summary: a page that works offline, pictures of its charts, and tables for the terminal."""

from jaxact.compare.report.page import write as write
from jaxact.compare.report.terminal import show as show
