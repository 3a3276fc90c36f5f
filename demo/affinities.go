package demo

import "strconv"

// affinity is a node of the taxonomy.
type affinity struct{ id, name, parent string }

// taxonomy is the tree below the seven roots, and how people come by it.
type taxonomy struct {
	nodes []affinity
	links []affinityAccountRow
	// byTopic are the nodes that people of a topic declare; common are those
	// that anybody may, the most popular first, with its sampler.
	byTopic [][]string
	common  []string
	sampler sampler

	next int
}

// The ids that the published examples use. Others count up from firstID and
// stay below the last of these.
const (
	idComputers   = "a100"
	idSports      = "a197"
	idSoccer      = "a759"
	idLewandowski = "a38802"
	firstID       = 1000
)

func newTaxonomy(list []topic, nets *[networks]catalogue) *taxonomy {
	t := &taxonomy{byTopic: make([][]string, len(list)), next: firstID}
	t.interests(list, nets)
	t.influencers(list, nets)
	t.brandsAndMedia(list, nets)
	t.declared(".personas.", []string{
		"New parents", "Early adopters", "Bargain hunters", "Frequent flyers", "Home owners", "Students",
		"Retirees", "Commuters", "Night owls", "Outdoor families", "City singles", "Empty nesters", "Pet people", "Do-gooders",
	})
	t.declared(".b2b.", []string{
		"Software", "Health care", "Education", "Finance", "Retail", "Manufacturing", "Construction", "Media",
		"Logistics", "Hospitality", "Government", "Energy", "Agriculture", "Legal services",
	})
	t.declared(".private.", []string{"Newsletter readers", "Event visitors", "Loyalty members"})
	t.sampler = newSampler(zipf(len(t.common), 0.7))
	return t
}

// add makes a node; id "" takes the next free one.
func (t *taxonomy) add(id, name, parent string) string {
	if id == "" {
		id = "a" + strconv.Itoa(t.next)
		t.next++
	}
	t.nodes = append(t.nodes, affinity{id, name, parent})
	return id
}

// link gives an affinity to the followers of the accounts of a topic from
// rank from to rank to, where there are so many.
func (t *taxonomy) link(id string, nets *[networks]catalogue, topic, network, from, to int) {
	members := nets[network].topics[topic].members
	for _, m := range members[min(from, len(members)):min(to, len(members))] {
		t.links = append(t.links, affinityAccountRow{id, networkNames[network], nets[network].accounts[m].id})
	}
}

func (t *taxonomy) interests(list []topic, nets *[networks]catalogue) {
	groups := map[string]string{groupComputers: t.add(idComputers, groupComputers, ".interests.")}
	for i, topic := range list {
		if groups[topic.group] == "" {
			groups[topic.group] = t.add("", topic.group, ".interests.")
		}
		id := t.add("", topic.name, groups[topic.group])
		t.byTopic[i] = append(t.byTopic[i], id)
		t.common = append(t.common, id)
		for n := range networks {
			t.link(id, nets, i, n, 1, 4)
		}
	}
}

func (t *taxonomy) influencers(list []topic, nets *[networks]catalogue) {
	groups := map[string]string{groupSports: t.add(idSports, groupSports, ".influencers.")}
	for i, topic := range list {
		if groups[topic.group] == "" {
			groups[topic.group] = t.add("", topic.group, ".influencers.")
		}
		categoryID := ""
		if topic.name == topicSoccer {
			categoryID = idSoccer
		}
		category := t.add(categoryID, topic.name, groups[topic.group])
		if topic.name == topicSoccer {
			t.add(idLewandowski, "Robert Lewandowski", category)
			for n := range networks {
				t.link(idLewandowski, nets, i, n, 20, 21)
			}
			t.byTopic[i] = append(t.byTopic[i], idLewandowski)
		}
		for rank := range 3 {
			network := (i + rank) % networks
			members := nets[network].topics[i].members
			if rank+5 >= len(members) {
				continue
			}
			id := t.add("", nets[network].accounts[members[rank+5]].name, category)
			t.link(id, nets, i, network, rank+5, rank+6)
			t.byTopic[i] = append(t.byTopic[i], id)
		}
	}
}

// brandsAndMedia makes a sector of brands for every second topic and one of
// outlets for every third, each named after an account that it stands for.
func (t *taxonomy) brandsAndMedia(list []topic, nets *[networks]catalogue) {
	for _, kind := range []struct {
		root, suffix string
		every, rank  int
	}{{".brands.", " brands", 2, 9}, {".media.", " outlets", 3, 14}} {
		for i := 0; i < len(list); i += kind.every {
			sector := t.add("", list[i].name+kind.suffix, kind.root)
			for k := range 4 {
				network, rank := (i+k)%networks, kind.rank+k
				members := nets[network].topics[i].members
				if rank >= len(members) {
					continue
				}
				id := t.add("", nets[network].accounts[members[rank]].name, sector)
				t.link(id, nets, i, network, rank, rank+1)
				t.byTopic[i] = append(t.byTopic[i], id)
			}
		}
	}
}

// declared makes leaves that nobody has by following.
func (t *taxonomy) declared(root string, names []string) {
	for _, name := range names {
		t.common = append(t.common, t.add("", name, root))
	}
}
