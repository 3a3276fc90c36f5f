package reference

// furtherNames are English names of countries that the source of the built-in
// ones does not have, by alpha-2 code: the short names of ISO 3166-1, which
// warehouses hold, and others in use. Order of words counts; case, accents,
// punctuation and "the", "of" and "and" do not. What two countries are called
// is left out.
var furtherNames = map[string][]string{
	"BO": {"Bolivia, Plurinational State of"},
	"CD": {"Congo, Democratic Republic of the", "DR Congo"},
	"FO": {"Faeroe Islands"},
	"GB": {"United Kingdom of Great Britain and Northern Ireland"},
	"IE": {"Republic of Ireland"},
	"IR": {"Iran, Islamic Republic of"},
	"KP": {"Korea, Democratic People's Republic of", "Democratic People's Republic of Korea"},
	"KR": {"Korea, South"},
	"LY": {"Libyan Arab Jamahiriya"},
	"MD": {"Republic of Moldova"},
	"MK": {"Macedonia", "Macedonia, the former Yugoslav Republic of"},
	"MM": {"Burma"},
	"MO": {"Macau"},
	"PS": {"Palestine, State of"},
	"SH": {"Saint Helena, Ascension and Tristan da Cunha"},
	"TZ": {"Tanzania, United Republic of"},
	"VA": {"Holy See"},
	"VE": {"Venezuela, Bolivarian Republic of"},
	"VI": {"U.S. Virgin Islands", "US Virgin Islands"},
	"VN": {"Viet Nam"},
}
