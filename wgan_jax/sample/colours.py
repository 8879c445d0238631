"""The colours of every plot: of the commands, the report and the papers' figures."""

BLUE, ORANGE, GREY = '#2a6fbb', '#d9762b', '#888888'
RED, YELLOW, GREEN, PURPLE = '#b5371f', '#e8b04a', '#2ca02c', '#7b3fa0'
PALE_BLUE, DARK_GREY = '#b4cde8', '#555555'
REAL, FAKE = '#d62728', BLUE

# The colours of a report: {colour in a plot: (on a light page, on a dark page)}.
LIGHT_AND_DARK = {
    BLUE: (BLUE, '#6cabf0'),
    ORANGE: ('#c4621c', '#f0a05c'),
    '#2f8f4e': ('#2f8f4e', '#67c587'),
    '#a13d8f': ('#a13d8f', '#dd86cd'),
    '#b3382c': ('#b3382c', '#f08a80'),
    '#2b8c99': ('#2b8c99', '#5fc6d3'),
    '#7a6a1f': ('#7a6a1f', '#c9b65a'),
    '#5b4bb5': ('#5b4bb5', '#a99cf0'),
    GREY: ('#767676', '#9a9a9a'),
}
RUNS = [colour for colour in LIGHT_AND_DARK if colour != GREY]
