"""Results become claims, figures and the PDF."""
