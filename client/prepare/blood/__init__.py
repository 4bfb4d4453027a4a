"""Blood: from a laboratory's export to numbers, or to text and its features."""
