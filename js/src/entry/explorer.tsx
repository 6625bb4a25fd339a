import { Explorer } from "../views/explorer";
import { widget } from "../mount";

export default widget(Explorer, "Explorer");
