// The scripts of every page. Each page works without them.
import { live } from "./live.js";
import { times } from "./time.js";
import { charts } from "./chart.js";
import { theme } from "./theme.js";
import { menus } from "./menu.js";

theme();
times();
charts();
menus();
live();
