package demo

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// coin makes up a name of a person's or brand's length. That it is a real one
// somewhere cannot be ruled out, and would mean nothing.
func coin(r *rand.Rand) string {
	begin := []string{"Vel", "Nor", "Kiv", "Zan", "Mor", "Tal", "Lum", "Bri", "Osk", "Quil", "Fen", "Dra", "Pel", "Ryn", "Sov", "Uxa", "Wen", "Yar", "Cor", "Hax", "Jun", "Gri", "Eld", "Ith"}
	middle := []string{"o", "a", "i", "e", "u", "ora", "ani", "eli", "uno", "ivi"}
	end := []string{"rax", "dox", "nev", "viq", "lom", "mert", "tisk", "quor", "linth", "zade", "bru", "kesh"}
	return pick(r, begin) + pick(r, middle) + pick(r, end)
}

// screenName is the handle that goes with a made-up name; n makes it unique.
func screenName(name string, n int) string {
	var b strings.Builder
	b.WriteString("syn_")
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' {
			b.WriteRune(c)
		}
		if b.Len() >= 20 {
			break
		}
	}
	b.WriteByte('_')
	b.WriteString(strconv.FormatInt(int64(n), 36))
	return b.String()
}

// titleGroup is a family of occupations. Within one, titles are Zipf
// distributed (s = 1); shares of the groups are our assumption, the order of
// the first is that of the Stack Overflow survey of 2016.
type titleGroup struct {
	share  float64
	titles []string
}

func titleGroups() []titleGroup {
	return []titleGroup{
		{0.14, []string{"Full-stack developer", "Back-end developer", "Software engineer", "Desktop developer", "Front-end developer", "Mobile developer", "Data scientist", "Database administrator", "System administrator", "DevOps engineer", "Embedded developer", "Engineering manager", "Quality engineer", "Machine learning engineer", "Security engineer", "Graphics programmer", "Growth hacker"}},
		{0.13, []string{"Sales associate", "Account executive", "Cashier", "Sales manager", "Retail supervisor", "Buyer", "Real estate agent", "Insurance agent"}},
		{0.12, []string{"Office manager", "Administrative assistant", "Receptionist", "Data entry clerk", "Customer service agent", "Bookkeeper", "Executive assistant"}},
		{0.11, []string{"Registered nurse", "Nursing assistant", "Physician", "Pharmacist", "Dentist", "Physical therapist", "Paramedic", "Radiographer", "Veterinarian"}},
		{0.10, []string{"Teacher", "Student", "Professor", "Teaching assistant", "School principal", "Librarian", "Tutor"}},
		{0.10, []string{"Operations manager", "Project manager", "Product manager", "Business analyst", "Consultant", "Chief executive", "Founder", "Human resources manager"}},
		{0.08, []string{"Marketing manager", "Graphic designer", "Copywriter", "Journalist", "Photographer", "Social media manager", "Video editor", "Illustrator"}},
		{0.08, []string{"Cook", "Server", "Barista", "Chef", "Bartender", "Restaurant manager", "Baker"}},
		{0.06, []string{"Accountant", "Financial analyst", "Bank teller", "Auditor", "Actuary", "Loan officer"}},
		{0.05, []string{"Electrician", "Carpenter", "Plumber", "Mechanic", "Welder", "Machinist", "Construction manager"}},
		{0.03, []string{"Lawyer", "Paralegal", "Police officer", "Firefighter", "Civil servant", "Social worker"}},
	}
}

// employers returns the companies, the largest first.
func employers(seed uint64) []string {
	r := stream(seed, "employers", 0)
	kinds := []string{"Systems", "Foods", "Health", "Motors", "Labs", "Logistics", "Media", "Energy", "Bank", "Stores", "Software", "Airways", "Insurance", "Schools", "Studio"}
	list := make([]string, 0, 2000)
	seen := map[string]bool{}
	for len(list) < cap(list) {
		switch len(list) {
		case 4:
			list = append(list, "Google")
			continue
		case 60:
			list = append(list, "Google Play")
			continue
		}
		if name := coin(r) + " " + pick(r, kinds); !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
}
