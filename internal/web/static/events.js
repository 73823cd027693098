// The page of events: the form, the list that goes on, the live tail.
import { zones } from "./zone.js";
import { search } from "./search.js";
import { list } from "./list.js";

zones();
search();
list();
