package reference

// The API's documentation lists some places under ids of its own. They keep
// those ids and that order, and come before all others of their kind. The
// GeoNames places that they are the doubles of are not in the table.

// listedCities returns the seven listed cities. Two names are listed twice
// under two ids. The second id of each is a place of its own here, with the
// same parents: people are found under the id they were loaded with, and a
// search shows both.
func listedCities() []Place {
	const newYork, newJersey, minnesota = "3372", "3369", "3361"
	city := func(id, name, region, dma string, population int64) Place {
		return Place{Kind: City, ID: id, Name: name, Region: region, Country: "231", DMA: dma, Population: population}
	}
	return []Place{
		city("82107", "East New York", newYork, "501", 173_198),
		city("1001500394", "East New York", newYork, "501", 0),
		city("82396", "New York City", newYork, "501", 8_804_190),
		city("1001500400", "New York City", newYork, "501", 0),
		// Utica, the market area of the first New York Mills, and Fargo, that
		// of the second, are not among the six listed.
		city("82397", "New York Mills", newYork, "", 3_308),
		city("81132", "New York Mills", minnesota, "", 1_225),
		city("81905", "West New York", newJersey, "501", 53_366),
	}
}

// listedMarketAreas returns the six listed market areas. The whole list of 210
// is a trade mark's, and comes with an operator's own table.
func listedMarketAreas() []Place {
	dma := func(id, name string) Place { return Place{Kind: DMA, ID: id, Name: name} }
	return []Place{
		dma("501", "New York"),
		dma("521", "Providence - New Bedford"),
		dma("533", "Hartford & New Haven"),
		dma("544", "Norfolk - Portsmouth - Newport News"),
		dma("545", "Greenville - New Bern - Washington"),
		dma("622", "New Orleans"),
	}
}
