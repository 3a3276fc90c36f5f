// Package demo makes up a population to try the program with.
//
// [Generate] writes a dataset of synthetic people. Nobody in it exists, and it
// says so in dataset.json. Marginals, popularity and correlations follow
// published summary figures, named in figures.go; where there is no figure
// there is an assumption, named where it is made. Identifiers are at reserved
// domains (example.com, example.org, example.net), of test equipment, or
// beyond the numbers that networks give out.
//
// # What is planted
//
// The published API examples name accounts, affinities, titles, employers and
// places. These are in the population, and some people are planted so that
// every example has members: see plant.go. In particular 50 people of 100,000
// are made to satisfy the long example with its sixteen parameters, which
// chance alone would leave empty. At 100,000 people there are 14 of the title
// "Analyst, Senior Programmer", some 85 of "PROGRAMMER", 125 at StatSocial and
// one at its past life. Smaller populations have proportionally fewer, larger ones no
// more.
//
// # Randomness
//
// People are made in chunks. Each chunk has a stream of random numbers of its
// own for each table, derived from seed, table and chunk: the bytes depend
// neither on the number of workers nor on who is first.
package demo
