"""Places and meters of a site: what the site file says stands where, and is metered how, over time.

`index.site.load_places` reads the file; `Places` is what everything above this package works with.
"""

from tokenergy_sql.places.advance import EVIDENCE, Advance, Reading
from tokenergy_sql.places.keys import PlaceKeys
from tokenergy_sql.places.losses import DeclaredPue, Loss, side_of
from tokenergy_sql.places.meters import Meter, Meters, MeterTree, continued
from tokenergy_sql.places.place import SITE, Place, parse_place
from tokenergy_sql.places.places import Places, build
from tokenergy_sql.places.problems import PlacesError
from tokenergy_sql.places.puemodels import Fixed, PueModel
from tokenergy_sql.places.roles import ROLES, SUMS, roles_of
from tokenergy_sql.places.tree import Spot, Tree

__all__ = [
    "EVIDENCE",
    "ROLES",
    "SITE",
    "SUMS",
    "Advance",
    "DeclaredPue",
    "Fixed",
    "Loss",
    "Meter",
    "MeterTree",
    "Meters",
    "Place",
    "PlaceKeys",
    "Places",
    "PlacesError",
    "PueModel",
    "Reading",
    "Spot",
    "Tree",
    "build",
    "continued",
    "parse_place",
    "roles_of",
    "side_of",
]
