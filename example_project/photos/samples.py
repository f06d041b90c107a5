"""The shipped photographs and the people of the demonstration, with what they say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PHOTOGRAPHS = Path(__file__).resolve().parent.parent / "sample_photos"


@dataclass(frozen=True)
class Sample:
    name: str
    alt: str
    captions: tuple[str, ...]
    comments: tuple[str, ...]

    @property
    def path(self) -> Path:
        return PHOTOGRAPHS / f"{self.name}.jpg"


@dataclass(frozen=True)
class Person:
    username: str
    name: str
    bio: str = ""
    portrait: str = ""  # name of a sample; initials without


SAMPLES = (
    Sample(
        "aizkorri",
        "A green meadow before larches in autumn colours, and a grey ridge behind them",
        (
            "The larches turned overnight",
            "Aizkorri, from the good side",
            "Last warm day up here, I think",
            "Three weeks of the year it looks like this",
        ),
        (
            "That line between green and rust!",
            "Is this the path from Arantzazu?",
            "I can smell this picture.",
            "Going on Sunday. You have decided it for me.",
        ),
    ),
    Sample(
        "brushes",
        "Paint brushes in a jar, their bristles stiff with blue, pink and yellow paint",
        (
            "Should have washed them",
            "Studio, after a long week",
            "The best colours are the ones you didn't plan",
            "My grandfather's jar, my mess",
        ),
        (
            "The pink one is a lost cause.",
            "Frame this instead of the painting.",
            "White spirit. Tonight. Promise me.",
            "So much better than a clean studio.",
        ),
    ),
    Sample(
        "dahlia",
        "An apricot dahlia in full bloom before dark leaves",
        (
            "Not one petal out of place",
            "First dahlia of the year",
            "Grown from a tuber my neighbour threw out",
            "Geometry, but make it soft",
        ),
        (
            "How is this real?",
            "Which variety is it?",
            "The dark background does it.",
            "Mine were eaten by slugs. Enjoy yours for both of us.",
        ),
    ),
    Sample(
        "dandelions",
        "Dandelion clocks in tall grass, lit from behind by a low sun",
        (
            "Ten minutes before sunset",
            "Make a wish, there are enough",
            "The neighbours call it an unmown lawn",
            "Lying in the wet grass was worth it",
        ),
        (
            "The light!",
            "This is my childhood.",
            "What lens is that? The background just melts.",
            "Please never mow.",
        ),
    ),
    Sample(
        "deep-field",
        "Hundreds of galaxies of all colours on a black sky, seen by the Hubble telescope",
        (
            "Every dot is a galaxy. I needed that today",
            "A piece of sky as small as a grain of sand",
            "My favourite photograph, taken by a telescope",
            "Perspective",
        ),
        (
            "And one of them is looking back at us.",
            "I have this above my desk.",
            "Thirteen billion years in one frame.",
            "My emails feel less urgent now.",
        ),
    ),
    Sample(
        "espresso",
        "An espresso in a red cup on a wooden table, a small spoon beside it",
        (
            "Second of the day. Don't count",
            "Corner table, rain outside",
            "They know my order by now",
            "Monday, solved",
        ),
        (
            "That crema!",
            "Where is this?",
            "The red cup makes it taste better, it's science.",
            "Save me a seat.",
        ),
    ),
    Sample(
        "evening-in",
        "A drum on a beanbag before a wooden table with a bottle of red wine",
        (
            "Plans cancelled. Excellent",
            "Friday: one drum, one bottle, no hurry",
            "The living room after the last guest",
            "Built the table from pallets, the rest came by itself",
        ),
        (
            "The perfect evening does not ex... oh.",
            "Your neighbours must love the drum.",
            "That table is great.",
            "I'll bring the cheese.",
        ),
    ),
    Sample(
        "fig",
        "Half a fig in a bright red bowl that throws a sharp shadow on concrete",
        (
            "One fig, one bowl, noon",
            "From the tree behind the garage",
            "Lunch, plus geometry",
            "The shadow was an accident",
        ),
        (
            "This belongs on a wall.",
            "Red on grey, every time.",
            "And was it sweet?",
            "Now I am hungry and inspired.",
        ),
    ),
    Sample(
        "forest-stream",
        "A small stream runs down over mossy rocks in a forest",
        (
            "Phone off, boots wet",
            "Two hours from the nearest road",
            "You hear it long before you see it",
            "Same stream every spring since 2009",
        ),
        (
            "I can hear it.",
            "Did you drink from it?",
            "The moss on those rocks!",
            "This is what weekends are for.",
        ),
    ),
    Sample(
        "launch-pad",
        "A white rocket stands lit on its launch pad at dusk",
        (
            "T minus nine hours",
            "It's much bigger than you think",
            "Stood there like a child",
            "The quiet before",
        ),
        (
            "Did it go up?",
            "Those lights on the ground are perfect.",
            "Goosebumps.",
            "I would have camped there.",
        ),
    ),
    Sample(
        "pagoda",
        "A many-storeyed pagoda of red and green wood above a misty lake",
        (
            "Worth all 400 steps",
            "Morning haze over the lake",
            "Counted the eaves, lost count",
            "Summer Palace before the crowds",
        ),
        (
            "The haze makes it.",
            "I was there in winter, a different world.",
            "Those colours after all these years.",
            "My knees remember these steps.",
        ),
    ),
    Sample(
        "picos-de-europa",
        "A worn path leads over a mountain pasture towards snowy limestone peaks",
        (
            "The path decides",
            "Picos de Europa, still snow in June",
            "Up before the clouds were",
            "Nobody for five hours",
        ),
        (
            "Adding this to the list. The list is long.",
            "That path pulls you right in.",
            "How long is the walk?",
            "The one cloud is showing off.",
        ),
    ),
    Sample(
        "plum-blossom",
        "Twigs of a purple-leaved plum with small white blossoms, the background blurred",
        (
            "A week early this year",
            "Outside my window, finally",
            "Between two showers",
            "It only lasts four days, so I went every day",
        ),
        (
            "So soft.",
            "Spring, confirmed.",
            "Like a watercolour.",
            "Ours is still asleep.",
        ),
    ),
    Sample(
        "sea-cliff",
        "A dark cliff with moss falls into calm water, pale hills behind",
        (
            "Not a single wave",
            "The far side of the bay",
            "Rowed here, rested, rowed back",
            "Everything a bit bluer than it was",
        ),
        (
            "The silence in this one.",
            "Half the picture is nothing, and it's the best half.",
            "I want to swim there.",
            "How cold was the water?",
        ),
    ),
    Sample(
        "summit-sunset",
        "The sun sets behind ranges of hills, seen from a summit with a stone table",
        (
            "Walked down in the dark, no regrets",
            "The stone table tells you the names of all the hills",
            "Last light",
            "Longest day, shortest night",
        ),
        (
            "Worth the walk back.",
            "The flare is perfect, leave it in.",
            "Which summit is it?",
            "I feel the wind.",
        ),
    ),
    Sample(
        "tabby",
        "The face of a ginger tabby cat with green eyes, looking aside",
        (
            "She heard the fridge",
            "Model wants to be paid in tuna",
            "The boss",
            "Three years old today, still in charge",
        ),
        (
            "Those eyes!",
            "Give her my regards.",
            "More of her, please.",
            "She knows something.",
        ),
    ),
    Sample(
        "tulips",
        "Pale pink tulips in a field, those behind blurred to a haze",
        (
            "A whole field to myself",
            "Pink, as far as it goes",
            "Went for bread, came back with this",
            "Bulbs planted in October, forgotten by November",
        ),
        (
            "Wallpaper, immediately.",
            "So gentle.",
            "Did you bring some home?",
            "I didn't know I liked pink.",
        ),
    ),
    Sample(
        "two-dogs",
        "Two brown spaniels look out of the window of a wooden house",
        (
            "The neighbourhood watch",
            "They do this every day at five",
            "Waiting for the post, officially",
            "Found the best two people in the village",
        ),
        (
            "Who are they and how do I meet them?",
            "The lower one has seen things.",
            "Best photo here.",
            "I would move in next door.",
        ),
    ),
)

PEOPLE = (
    Person(
        "ada", "Ada Lindqvist", "Slow walks, low sun. Mostly film, mostly the north.", "dandelions"
    ),
    Person(
        "mateo",
        "Mateo Ibarra",
        "Mountains at the weekend, spreadsheets in between.",
        "picos-de-europa",
    ),
    Person("yuki", "Yuki Tanabe", "Small things, close up."),
    Person("nadia", "Nadia Rahmani", "Painter. The camera is my sketchbook.", "brushes"),
    Person("tom", "Tom Okafor", "Coffee first.", "espresso"),
    Person("lena", "Lena Hoffmann", "Everything that flowers."),
    Person("arjun", "Arjun Mehta", "Looking up since 1991.", "deep-field"),
    Person("chloe", "Chloé Martin", "Cats, mine and other people's.", "tabby"),
    Person("samuel", "Samuel Wright", "Bays, boats, bad weather."),
    Person("carvalho", "Inês Carvalho", "Lisbon. Light and concrete."),
    Person("jonas", "Jonas Berg", "I carry too much equipment up too many hills."),
    Person("mei", "Mei Chen", "Old roofs and the weather above them.", "pagoda"),
    Person("omar", "Omar Haddad", "Learning to see, one roll at a time."),
    Person("freya", "Freya Nilsen", "Forest person."),
    Person("diego", "Diego Fuentes", "Rockets, rivers, red things.", "launch-pad"),
    Person("amara", "Amara Eze", "Gardener with a camera.", "tulips"),
    Person("pavel", "Pavel Novák", "Two dogs and a window.", "two-dogs"),
    Person("hana", "Hana Kim", "Colour before form."),
    Person("luca", "Luca Moretti", "Kitchens, markets, lunch.", "fig"),
    Person("zoe", "Zoë Papadakis", "The sea, from every side."),
    Person("kwame", "Kwame Mensah", "Portraits of plants."),
    Person("elif", "Elif Aksoy", "Early trains, early light."),
    Person("noor", "Noor Visser", "Flat country, big skies."),
    Person("ruth", "Ruth Abrams", "Retired, and out all day."),
    Person("bruno", "Bruno Keller", "Analogue, stubbornly."),
    Person("sofia", "Sofía Delgado", "What is left when the guests have gone.", "evening-in"),
    Person("tariq", "Tariq Aziz", "Night shifts, day shots."),
    Person("maren", "Maren Solberg", "Fjords, mostly in fog."),
    Person("oscar", "Oscar Lund", "Bicycles and what I see from mine."),
    Person("priya", "Priya Nair", "Rain is good light."),
)
