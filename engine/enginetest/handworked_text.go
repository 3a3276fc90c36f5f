package enginetest

func biosByHand() []Case {
	w := world{settings: `{"name":"bios","as_of":"2026-11-01T00:00:00Z"}`, tables: map[string]string{
		"people": "person\nplain\ntag\nhyphen\nshout\nbroken\nwide\nlonger\nat\napart\norder\ntube\n" +
			"sharp\ncurly\nstraight\ncafe\ncombining\nheart\nfamily\nflags\npi\nstock\ntwo\nline\nparty\nmail\nsnake\nhan\n",
		"bios": `person,network,text
plain,twitter,I write Golang and Rust
tag,twitter,I love #golang
hyphen,twitter,golang-based tools
shout,twitter,GOLANG!!!
broken,twitter,go lang
wide,twitter,ＧＯＬＡＮＧ
longer,twitter,golangs
at,twitter,by @golang
apart,twitter,# golang
order,twitter,rust golang
tube,youtube,golang videos
sharp,instagram,Große STRASSE
curly,instagram,Don’t panic
straight,instagram,don't panic
cafe,instagram,Café
combining,instagram,` + "Cafe\u0301" + `
heart,twitch,I ❤ 🍕
family,twitch,my 👨‍👩‍👧 first
flags,twitch,🇩🇪🇫🇷
pi,twitch,3.14 and C++
stock,twitch,long $TSLA
two,tiktok,hello
two,tiktok,world
line,tiktok,"data
science"
party,tiktok,data 🎉 science
mail,tiktok,write to ann@example.com
snake,tiktok,snake_case
han,tiktok,日本語
nobody,twitter,golang
plain,myspace,golang
`,
	}}
	p := func(network, phrases string) string {
		return `[{"operation":"OR","bio_search":{"search_in_` + network + `":true,"phrases":[` + phrases + `]}}]`
	}
	with := "plain tag hyphen shout wide at apart order"
	return []Case{
		w.hand("a word, with any sign, at any hyphen, in any width", p("twitter", `"golang"`), with),
		w.hand("a phrase's case does not matter", p("twitter", `"GoLANG"`), with),
		w.hand("a phrase in full width", p("twitter", `"ｇｏｌａｎｇ"`), with),
		// The sign must stand directly before the word.
		w.hand("a tag finds tags alone", p("twitter", `"#golang"`), "tag"),
		w.hand("a mention finds mentions alone", p("twitter", `"@golang"`), "at"),
		w.hand("words in order", p("twitter", `"golang and rust"`), "plain"),
		w.hand("words in the other order", p("twitter", `"rust golang"`), "order"),
		w.hand("words not next to each other", p("twitter", `"write rust"`), ""),
		w.hand("what separates words does not matter", p("twitter", `"golang, -- AND; rust!"`), "plain"),
		w.hand("a plain word in a phrase finds a tag", p("twitter", `"love golang"`), "tag"),
		w.hand("a tag in a phrase", p("twitter", `"love #golang","write #golang"`), "tag"),
		// "# golang" in a phrase has no sign, as in a text.
		w.hand("a sign apart from its word", p("twitter", `"love # golang"`), "tag"),
		w.hand("a hyphen separates", p("twitter", `"golang based"`), "hyphen"),
		w.hand("words are whole", p("twitter", `"gol"`), ""),
		w.hand("any phrase", p("twitter", `"based tools","go lang"`), "hyphen broken"),
		w.hand("only networks flagged", p("youtube", `"golang"`), "tube"),
		w.hand("several networks", `[{"operation":"OR","bio_search":{"search_in_twitter":false,"search_in_youtube":true,
			"search_in_twitch":true,"phrases":["videos","long"]}}]`, "tube stock"),
		w.hand("sharp s is two", p("instagram", `"große straße"`), "sharp"),
		// U+2019 is not U+0027, and NFKC keeps both.
		w.hand("an apostrophe is part of a word", p("instagram", `"don't"`), "straight"),
		w.hand("the other apostrophe", p("instagram", `"don’t panic"`), "curly"),
		w.hand("half of a word with an apostrophe", p("instagram", `"don"`), ""),
		w.hand("accents count, however they are written", p("instagram", `"`+"cafe\u0301"+`"`), "cafe combining"),
		w.hand("no accent is another word", p("instagram", `"cafe"`), ""),
		w.hand("an emoji is a word", p("twitch", `"🍕"`), "heart"),
		w.hand("emoji next to each other", p("twitch", `"i ❤ 🍕"`), "heart"),
		// Joined emoji are one segment.
		w.hand("a member of a joined emoji", p("twitch", `"👨"`), ""),
		w.hand("a joined emoji", p("twitch", `"👨‍👩‍👧"`), "family"),
		w.hand("flags are cut in pairs", p("twitch", `"🇫🇷"`), "flags"),
		// 🇪🇫 stands in 🇩🇪🇫🇷 only across two flags.
		w.hand("a flag across two flags", p("twitch", `"🇪🇫"`), ""),
		w.hand("a number with a point is one word", p("twitch", `"3.14"`), "pi"),
		w.hand("half a number", p("twitch", `"14"`), ""),
		// The plus signs are no word and no sign.
		w.hand("C++ is the word c", p("twitch", `"C#"`), "pi"),
		w.hand("a cashtag", p("twitch", `"$tsla"`), "stock"),
		w.hand("a cashtag's word", p("twitch", `"tsla"`), "stock"),
		w.hand("a tag is no cashtag", p("twitch", `"#tsla"`), ""),
		w.hand("a phrase stays in one bio", p("tiktok", `"hello world"`), ""),
		// The emoji of party is a word between the two.
		w.hand("a line end only separates", p("tiktok", `"data science"`), "line"),
		w.hand("a word between", p("tiktok", `"data 🎉 science"`), "party"),
		// The @ stands directly before the word example.com.
		w.hand("an address", p("tiktok", `"@example.com"`), "mail"),
		w.hand("an underscore joins", p("tiktok", `"snake"`), ""),
		w.hand("ideographs are words of their own", p("tiktok", `"本語"`), "han"),
	}
}
